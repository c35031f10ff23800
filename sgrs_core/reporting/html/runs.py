"""What runs left about themselves: cost, environment, scores, course."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas
from pandas import DataFrame

from sgrs_core.files import read_json
from sgrs_core.reporting.costs import SECONDS_PER_HOUR
from sgrs_core.reporting.html import SELECTIONS
from sgrs_core.reporting.scores import read_scores

DIRTY = "+changes"  # ends a commit from which the files differed
OF_TRAINING = ("device", "threads")  # what a record's training says about the machine
SHORT = 12  # digits of a commit
COST_KEYS = ["method", "labelled", "data set", "device"]


@dataclass(frozen=True)
class Finished:
    """A run and what it left. title: of its row; label: its name in words; scores: by selection."""

    dataset: str
    labelled: int
    variant: str
    seed: int
    title: str
    label: str
    dataset_title: str
    record: Mapping[str, Any]
    log: DataFrame
    scores: Mapping[str, DataFrame]

    @property
    def hours(self) -> float:
        """How long its training took."""
        return float(self.record["training"]["seconds"]) / SECONDS_PER_HOUR

    @property
    def commit(self) -> str:
        """The commit that it was made with, short, and whether files differed from it."""
        commit = str(self.record["commit"])
        changes = " with changes" if commit.endswith(DIRTY) else ""
        return commit.removesuffix(DIRTY)[:SHORT] + changes


def read_run(run: Mapping[str, Any]) -> Finished:
    """Read the files of one run, as `Layout.runs` lists it."""
    record = read_json(Path(run["record"]), "run", "training")
    scores = {name: read_scores(file) for name, file in run["scores"].items()}
    known = {**run, "record": record, "log": pandas.read_csv(run["log"]), "scores": scores}
    return Finished(**{field.name: known[field.name] for field in fields(Finished)})


def overview_of(runs: Sequence[Finished]) -> DataFrame:
    """All runs with their device, their hours and their mean Dice under each selection."""
    return DataFrame(
        {
            "method": run.title,
            "labelled": run.labelled,
            "data set": run.dataset_title,
            "seed": run.seed,
            "device": str(run.record["training"].get("device", "unknown")),
            "hours": run.hours,
            **{
                f"Dice (%), {SELECTIONS[name]}": 100 * one["dice"].mean()
                for name, one in run.scores.items()
            },
        }
        for run in runs
    )


def cost_of(overview: DataFrame) -> DataFrame:
    """Hours of training by data set, number of labelled scans, method and device."""
    hours = overview.groupby(COST_KEYS, sort=False)["hours"]
    return hours.agg(runs="count", hours_per_run="mean", hours="sum").reset_index()


def environment_of(runs: Sequence[Finished]) -> DataFrame:
    """Each fact about software and machine, each value it had, and in how many runs.

    Facts are all texts and numbers of a record but its run's description, training and date.
    """
    facts = DataFrame(_facts(run.record) for run in runs).melt(var_name="fact").dropna()
    return facts.groupby(["fact", "value"], sort=False).size().reset_index(name="runs")


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    facts = {name: record["training"].get(name) for name in OF_TRAINING}
    for name, value in record.items():
        if name not in ("run", "training", "finished"):
            facts |= value if isinstance(value, Mapping) else {name: value}
    return {name: str(value) for name, value in facts.items() if value is not None}
