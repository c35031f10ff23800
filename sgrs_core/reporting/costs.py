"""What tables cost: hours of training and evaluation, from records and benchmark files alone.

No torch here: a job that writes a table starts in a second.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas
from pandas import DataFrame

KEYS = ("table", "method", "recipe", "labelled")
COLUMNS = [
    *KEYS,
    "runs",
    "training_hours_mean",
    "training_hours",
    "gpu_hours",
    "evaluation_hours",
    "starts",
]
SECONDS_PER_HOUR = 3600
DIGITS = 4  # of an hour: a third of a second
LEGEND = (
    "Hours of training: of the iterations that led to the weights, checkpoint selection included. "
    "GPU hours: of training on a CUDA device, without what a killed run lost after its last "
    "checkpoint. Hours of evaluation: of each job's last attempt, all selections together, waiting "
    "for a card included. A run that several lines need stands in each of them. – means that no "
    "file tells."
)


class Cost(NamedTuple):
    """Of one run, or the sum of some. Hours, but for starts; NaN where a file does not tell."""

    training: float
    gpu: float
    evaluation: float
    starts: float


def cost_table(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """One row per row of a table.

    rows: each with the KEYS and `runs`, one per seed: the file of the `record`, and `evaluations`,
    the benchmark files of its evaluations. Columns: the KEYS, runs, training_hours_mean (over
    seeds), training_hours, gpu_hours (of training), evaluation_hours, starts; NaN where a file is
    missing or older than what it is asked for.
    """
    table = DataFrame([_row(row) for row in rows], columns=COLUMNS)
    return table.astype({"starts": "Int64"})  # whole numbers, some of them not known


def to_markdown(rows: Sequence[Mapping[str, Any]], note: str) -> str:
    """The table as Markdown, with the sum beneath that counts each run once."""
    table = cost_table(rows).map(_shown)
    runs = {run["record"]: run for row in rows for run in row["runs"]}
    training, gpu, evaluation, starts = map(_shown, total_of(list(runs.values())))
    once = (
        f"Each run counted once: {len(runs)} runs, {training} hours of training, {gpu} GPU hours, "
        f"{evaluation} hours of evaluation, {starts} starts."
    )
    readable = table.to_markdown(index=False, disable_numparse=True)
    parts = ["# What the tables cost", *([note] if note else []), LEGEND, readable, once]
    return "\n\n".join(parts) + "\n"


def training_hours(record: Mapping[str, Any]) -> float:
    """How long the training took that a run's record is of."""
    return float(record["training"]["seconds"]) / SECONDS_PER_HOUR


def total_of(runs: Sequence[Mapping[str, Any]]) -> Cost:
    """The sum; a part that is not known of one run is not known of all."""
    costs = DataFrame([cost_of_run(run) for run in runs], columns=list(Cost._fields))
    return Cost(*costs.sum(skipna=False).astype(float))


def cost_of_run(run: Mapping[str, Any]) -> Cost:
    """What one run's files say: its `record`, and the benchmarks of its `evaluations`."""
    record = json.loads(Path(run["record"]).read_text(encoding="utf-8"))
    gpu, starts = (record["training"].get(key) for key in ("gpu_seconds", "starts"))
    return Cost(
        training_hours(record),
        math.nan if gpu is None else gpu / SECONDS_PER_HOUR,
        sum(map(benchmark_seconds, run["evaluations"])) / SECONDS_PER_HOUR,
        math.nan if starts is None else starts,
    )


def benchmark_seconds(path: str) -> float:
    """The seconds in one of Snakemake's benchmark files; NaN without the file."""
    if not Path(path).is_file():
        return math.nan
    with Path(path).open(encoding="utf-8") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    runs = row["runs"]
    total = total_of(runs)
    return {
        **{key: row[key] for key in KEYS},
        "runs": len(runs),
        "training_hours_mean": round(total.training / len(runs), DIGITS),
        "training_hours": round(total.training, DIGITS),
        "gpu_hours": round(total.gpu, DIGITS),
        "evaluation_hours": round(total.evaluation, DIGITS),
        "starts": total.starts,
    }


def _shown(value: Any) -> str:
    """A cell as text; hours to the hundredth, and small ones to two digits that count."""
    if pandas.isna(value):
        return "–"
    if not isinstance(value, float) or value == int(value):
        return str(int(value)) if isinstance(value, float) else str(value)
    return f"{value:.2f}" if value >= 1 else f"{value:.2g}"
