"""What runs left about themselves: cost, environment, scores, course."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from pandas import DataFrame

from sgrs_core.reporting.costs import training_hours

DIRTY = "+changes"  # ends a commit from which the files differed
OF_TRAINING = ("device", "threads")  # what a record's training says about the machine
SHORT = 12  # digits of a commit
COST_KEYS = ["method", "labelled", "data set", "device"]


@dataclass(frozen=True)
class Finished:
    """A run and what it left. scores: by selection."""

    dataset: str
    labelled: int
    variant: str
    seed: int
    record: Mapping[str, Any]
    log: DataFrame
    scores: Mapping[str, DataFrame]

    @property
    def name(self) -> str:
        """The run in words."""
        return f"{self.dataset}, {self.labelled} labelled, {self.variant}, seed {self.seed}"

    @property
    def hours(self) -> float:
        """How long its training took."""
        return training_hours(self.record)


def read_run(run: Mapping[str, Any]) -> Finished:
    """Read the files of one run, as `Layout.runs` lists it."""
    return Finished(
        run["dataset"],
        int(run["labelled"]),
        run["variant"],
        int(run["seed"]),
        json.loads(Path(run["record"]).read_text(encoding="utf-8")),
        pandas.read_csv(run["log"]),
        {name: pandas.read_csv(file) for name, file in run["scores"].items()},
    )


def overview_of(runs: Sequence[Finished]) -> DataFrame:
    """All runs with their device, their mean Dice under each selection and their hours."""
    selections = list(dict.fromkeys(name for run in runs for name in run.scores))
    return DataFrame(
        [
            {
                "method": run.variant,
                "labelled": run.labelled,
                "data set": run.dataset,
                "seed": run.seed,
                "device": str(run.record["training"].get("device", "unknown")),
                **{
                    f"Dice % ({name})": run.scores[name]["dice"].mean() * 100
                    for name in selections
                    if name in run.scores
                },
                "hours": run.hours,
            }
            for run in runs
        ]
    )


def cost_of(overview: DataFrame) -> DataFrame:
    """Hours of training by data set, number of labelled scans, method and device."""
    hours = overview.groupby(COST_KEYS, sort=False)["hours"]
    return hours.agg(runs="count", hours_per_run="mean", hours="sum").reset_index()


def environment_of(runs: Sequence[Finished]) -> DataFrame:
    """Each fact about software and machine, each value it had, and in how many runs."""
    names = list(dict.fromkeys(name for run in runs for name, _ in _facts(run.record)))
    counts = Counter(fact for run in runs for fact in set(_facts(run.record)))
    ordered = sorted(counts, key=lambda fact: (names.index(fact[0]), fact[1]))
    rows = [(name, value, counts[name, value]) for name, value in ordered]
    return DataFrame(rows, columns=["fact", "value", "runs"])


def commits_of(runs: Sequence[Finished]) -> list[str]:
    """The commits that the runs were made with, short, and whether files differed from them."""
    commits = dict.fromkeys(str(run.record["commit"]) for run in runs)
    return [
        commit.removesuffix(DIRTY)[:SHORT] + (" with changes" if commit.endswith(DIRTY) else "")
        for commit in commits
    ]


def dates_of(runs: Sequence[Finished]) -> tuple[str, str]:
    """The days on which the first and the last of the runs were finished."""
    days = [str(run.record["finished"])[:10] for run in runs]
    return min(days), max(days)


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All texts and numbers of a record but its run's description, its training and its date."""
    for name in OF_TRAINING:
        if name in record["training"]:
            yield name, str(record["training"][name])
    for name, value in record.items():
        if name not in ("run", "training", "finished"):
            yield from _flat(name, value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(key, item)
    else:
        yield name, str(value)
