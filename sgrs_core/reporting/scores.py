"""The per-scan score files: read, checked, and counted as a scoring says.

No torch here: a job that writes a table starts in a second.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray
from pandas import DataFrame

METRICS = ("dice", "jaccard", "hd95", "asd")
PRIMARY = "dice"  # the metric that claims rest on; the others are exploratory
NAMES = dict(zip(METRICS, ("Dice", "Jaccard", "95HD", "ASD"), strict=True))  # as printed
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
UNITS = {metric: "%" if metric in PERCENT else "voxels" for metric in METRICS}
HEADINGS = {metric: f"{NAMES[metric]} ({UNITS[metric]})" for metric in METRICS}
SCORINGS = ("published", "strict")


class Scores(NamedTuple):
    """The scores of one row's seeds under one selection.

    values: (metric, seed, scan) in a table's units; NaN where nothing can be counted. empty: the
    number of empty predictions over all seeds.
    """

    scans: tuple[str, ...]
    values: NDArray[np.float64]
    empty: int

    def of(self, metric: str) -> NDArray[np.float64]:
        """One metric: (seed, scan)."""
        return self.values[METRICS.index(metric)]


def gather(files: Sequence[DataFrame], scoring: str) -> Scores:
    """The score files of one row, one per seed, as a scoring counts them.

    Raises ValueError where they are not of the same scans.
    """
    ordered = [one.sort_values("scan", kind="stable") for one in files]
    scans = tuple(map(str, ordered[0]["scan"]))
    for one in ordered[1:]:
        check_same_scans(scans, tuple(map(str, one["scan"])))
    values = np.array([counted(one, scoring).to_numpy().T for one in ordered]).swapaxes(0, 1)
    return Scores(scans, values, sum(int(one["empty"].sum()) for one in files))


def read_scores(file: str | Path) -> DataFrame:
    """A score file. Raises ValueError, naming it, as `check_scores` does."""
    scores = pandas.read_csv(file)
    try:
        check_scores(scores)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return scores


def check_scores(scores: DataFrame) -> None:
    """Raise ValueError, naming the scan, for scores that cannot be.

    A file without scans, a scan that stands there twice, a metric of a non-empty prediction that is
    no number, a Dice or Jaccard outside [0, 1].
    """
    if scores.empty:
        raise ValueError("a score file names no scan: evaluate its run anew")
    twice = scores["scan"][scores["scan"].duplicated()]
    if len(twice):
        raise ValueError(f"scan {twice.iloc[0]} stands twice in a score file: evaluate anew")
    found = scores[~scores["empty"].astype(bool)]
    for metric in METRICS:
        outside = ~found[metric].between(0, 1 if metric in PERCENT else np.inf)
        if outside.any():
            scan, value = found.loc[outside, ["scan", metric]].iloc[0]
            raise ValueError(f"scan {scan}: {metric} = {value} is no score: evaluate its run anew")


def check_same_scans(scans: Sequence[str], others: Sequence[str]) -> None:
    """Raise ValueError unless both name the same scans in the same order."""
    if tuple(scans) != tuple(others):
        different = sorted(set(scans) ^ set(others)) or sorted(scans)
        raise ValueError(
            f"score files of different scans, such as {different[0]}: evaluate these runs anew "
            "on the same test scans"
        )


def counted(scores: DataFrame, scoring: str) -> DataFrame:
    """The metrics of one seed's scans as a scoring counts them, in a table's units.

    An empty prediction is 0 in Dice and Jaccard. Its distances are 0, the best there is, under
    `published`; the image's diagonal under `strict`, and NaN in files that do not name it.
    """
    empty = scores["empty"].astype(bool)
    values = scores[list(METRICS)].astype(float)
    if scoring == "published":
        values = values.mask(empty, 0.0)
    else:
        diagonal = scores.get("diagonal", pandas.Series(np.nan, scores.index))
        for metric in METRICS:
            values[metric] = values[metric].mask(empty, 0.0 if metric in PERCENT else diagonal)
    return in_units(values)


def in_units(values: DataFrame) -> DataFrame:
    """Columns METRICS of a score file in a table's units."""
    return values[list(METRICS)].astype(float) * [
        100 if metric in PERCENT else 1 for metric in METRICS
    ]


def summarise(scores: DataFrame, scoring: str) -> dict[str, float]:
    """The mean of each metric over one seed's scans, in a table's units; see `counted`."""
    means = gather([scores], scoring).values.mean(axis=(1, 2))
    return dict(zip(METRICS, map(float, means), strict=True))
