"""What tables cost: hours of training and evaluation, from records and benchmark files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from pandas import DataFrame

from sgrs_core.files import read_json

KEYS = ["table", "method", "recipe", "labelled"]
SUMS = ["training_hours", "gpu_hours", "evaluation_hours", "starts"]
COLUMNS = [*KEYS, "runs", "training_hours_mean", *SUMS]
SECONDS_PER_HOUR = 3600
DIGITS = 4  # of an hour: a third of a second
LEGEND = (
    "Hours of training: of the iterations that led to the weights, checkpoint selection included. "
    "GPU hours: of training on a CUDA device, without what a killed run lost after its last "
    "checkpoint. Hours of evaluation: of each job's last attempt, all selections together, waiting "
    "for a card included. A run that several lines need stands in each of them. – means that no "
    "file tells."
)


def cost_table(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """One row per row of a table.

    rows: each with the KEYS and `runs`, one per seed: the file of the `record`, and `evaluations`,
    the benchmark files of its evaluations. Columns: the KEYS, runs, training_hours_mean (over
    seeds), training_hours, gpu_hours (of training), evaluation_hours, starts; NaN where a file is
    missing or older than what it is asked for.
    """
    costs = []
    for row in rows:
        total, count = total_of(row["runs"]), len(row["runs"])
        mean = total["training_hours"] / count
        costs.append({**row, "runs": count, "training_hours_mean": mean, **total})
    table = DataFrame(costs, columns=COLUMNS)
    return table.astype({"starts": "Int64"}).round(DIGITS)  # starts are whole, or not known


def to_markdown(rows: Sequence[Mapping[str, Any]], note: str) -> str:
    """The table as Markdown, with the sum beneath that counts each run once."""
    runs = {run["record"]: run for row in rows for run in row["runs"]}
    training, gpu, evaluation, starts = map(_shown, total_of(list(runs.values())))
    once = (
        f"Each run counted once: {len(runs)} runs, {training} hours of training, {gpu} GPU hours, "
        f"{evaluation} hours of evaluation, {starts} starts."
    )
    readable = cost_table(rows).map(_shown).to_markdown(index=False, disable_numparse=True)
    parts = ["# What the tables cost", *([note] if note else []), LEGEND, readable, once]
    return "\n\n".join(parts) + "\n"


def total_of(runs: Sequence[Mapping[str, Any]]) -> "pandas.Series[float]":
    """The SUMS over runs; a part that is not known of one run is not known of all."""
    costs = DataFrame([cost_of_run(run) for run in runs], columns=SUMS, dtype=float)
    return costs.sum(skipna=False)


def cost_of_run(run: Mapping[str, Any]) -> dict[str, float | None]:
    """What one run's files say: its `record`, and the benchmarks of its `evaluations`."""
    training = read_json(Path(run["record"]), "training")["training"]
    gpu = training.get("gpu_seconds")
    return {
        "training_hours": training["seconds"] / SECONDS_PER_HOUR,
        "gpu_hours": None if gpu is None else gpu / SECONDS_PER_HOUR,
        "evaluation_hours": sum(map(benchmark_seconds, run["evaluations"])) / SECONDS_PER_HOUR,
        "starts": training.get("starts"),
    }


def benchmark_seconds(file: str) -> float:
    """The seconds in one of Snakemake's benchmark files; NaN without the file."""
    if not Path(file).is_file():
        return np.nan
    return float(pandas.read_csv(file, sep="\t")["s"].iloc[0])


def _shown(value: Any) -> str:
    """A cell as text; hours to the hundredth, and small ones to two digits that count."""
    if pandas.isna(value):
        return "–"
    if not isinstance(value, float) or value == int(value):
        return str(int(value)) if isinstance(value, float) else str(value)
    return f"{value:.2f}" if value >= 1 else f"{value:.2g}"
