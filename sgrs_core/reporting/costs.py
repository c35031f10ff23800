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

COLUMNS = [
    "table",
    "method",
    "recipe",
    "labelled",
    "runs",
    "training_hours_mean",
    "training_hours",
    "gpu_hours",
    "evaluation_hours",
    "starts",
]
SECONDS_PER_HOUR = 3600
DIGITS = 4  # of an hour: a third of a second


class Cost(NamedTuple):
    """Of one run, or the sum of some. Seconds; NaN where a file does not tell."""

    training: float = 0.0
    gpu: float = 0.0
    evaluation: float = 0.0
    starts: float = 0.0


def cost_table(lines: Sequence[Mapping[str, Any]]) -> DataFrame:
    """One row per line of a table.

    lines: each with `table`, `method`, `recipe`, `labelled` and `runs`, one per seed: the file of
    the `record`, and `evaluations`, the benchmark files of its evaluations. Columns: those four,
    runs, training_hours_mean (over seeds), training_hours, gpu_hours (of training),
    evaluation_hours, starts; NaN where a file is missing or older than what it is asked for.
    """
    table = DataFrame([_row(line) for line in lines], columns=COLUMNS)
    return table.astype({"starts": "Int64"})  # whole numbers, some of them not known


def to_markdown(lines: Sequence[Mapping[str, Any]], note: str) -> str:
    """The table as Markdown, with the sum beneath that counts each run once."""
    table = cost_table(lines).map(_shown)
    runs = {run["record"]: run for line in lines for run in line["runs"]}
    total = total_of([cost_of_run(run) for run in runs.values()])
    once = (
        f"Each run counted once: {len(runs)} runs, {_hours(total.training)} hours of training, "
        f"{_hours(total.gpu)} GPU hours, {_hours(total.evaluation)} hours of evaluation, "
        f"{_shown(total.starts)} starts."
    )
    readable = table.to_markdown(index=False, disable_numparse=True)
    parts = ["# What the tables cost", *([note] if note else []), LEGEND, readable, once]
    return "\n\n".join(parts) + "\n"


LEGEND = (
    "Hours of training: of the iterations that led to the weights, checkpoint selection included. "
    "GPU hours: of training on a CUDA device, without what a killed run lost after its last "
    "checkpoint. Hours of evaluation: of each job's last attempt, all selections together, waiting "
    "for a card included. A run that several lines need stands in each of them. – means that no "
    "file tells."
)


def training_hours(record: Mapping[str, Any]) -> float:
    """How long the training took that a run's record is of."""
    return float(record["training"]["seconds"]) / SECONDS_PER_HOUR


def cost_of_run(run: Mapping[str, Any]) -> Cost:
    """What one run's files say: its `record`, and the benchmarks of its `evaluations`."""
    training = json.loads(Path(run["record"]).read_text(encoding="utf-8"))["training"]
    known = [training.get(key) for key in ("seconds", "gpu_seconds", "starts")]
    seconds, gpu, starts = (math.nan if value is None else float(value) for value in known)
    return Cost(seconds, gpu, sum(map(benchmark_seconds, run["evaluations"])), starts)


def benchmark_seconds(path: str) -> float:
    """The seconds in one of Snakemake's benchmark files; NaN without the file."""
    if not Path(path).is_file():
        return math.nan
    with Path(path).open(encoding="utf-8") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


def total_of(costs: Sequence[Cost]) -> Cost:
    """The sum; a part that is not known of one run is not known of all."""
    return Cost(*map(sum, zip(*costs, strict=True))) if costs else Cost()


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    runs = line["runs"]
    total = total_of([cost_of_run(run) for run in runs])
    training = total.training / SECONDS_PER_HOUR
    return {
        **{key: line[key] for key in ("table", "method", "recipe", "labelled")},
        "runs": len(runs),
        "training_hours_mean": round(training / len(runs), DIGITS),
        "training_hours": round(training, DIGITS),
        "gpu_hours": round(total.gpu / SECONDS_PER_HOUR, DIGITS),
        "evaluation_hours": round(total.evaluation / SECONDS_PER_HOUR, DIGITS),
        "starts": total.starts,
    }


def _hours(seconds: float) -> str:
    return _shown(seconds / SECONDS_PER_HOUR)


def _shown(value: Any) -> str:
    """A cell as text; hours to the hundredth, and small ones to two digits that count."""
    if pandas.isna(value):
        return "–"
    if not isinstance(value, float) or value == int(value):
        return str(int(value)) if isinstance(value, float) else str(value)
    return f"{value:.2f}" if value >= 1 else f"{value:.2g}"
