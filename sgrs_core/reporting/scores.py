"""The per-scan score files: read, checked, and counted as a scoring says."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray
from pandas import DataFrame

from sgrs_core.evaluation.units import FACTORS, METRICS, PERCENT, counted

PRIMARY = "dice"  # the metric that claims rest on; the others are exploratory
TRUTHS = {"True": True, "False": False}
SCORINGS = ("strict", "published")


class Scores(NamedTuple):
    """The scores of one row's seeds under one selection.

    values: (metric, seed, scan) in a table's units; NaN where nothing can be counted. empty: the
    number of empty predictions over all seeds. judged: the metrics that hold no empty prediction's
    distance of 0. folds: in which fold each scan was tested. diagonals: of each scan's image in
    voxels, NaN where files of once do not say it.
    """

    scans: tuple[str, ...]
    values: NDArray[np.float64]
    empty: int
    judged: Sequence[str]
    folds: NDArray[np.int64]
    diagonals: NDArray[np.float64]

    def of(self, metric: str) -> NDArray[np.float64]:
        """One metric: (seed, scan)."""
        return self.values[METRICS.index(metric)]

    def spread_of(self, metric: str) -> float:
        """The standard deviation of the means of runs, one for each seed and fold; NaN of one."""
        folds = (self.of(metric)[:, self.folds == fold] for fold in np.unique(self.folds))
        means = np.concatenate([scores.mean(axis=1) for scores in folds])
        return float(means.std(ddof=1)) if len(means) > 1 else np.nan


def gather(seeds: Sequence[DataFrame], scoring: str) -> Scores:
    """The scores of one row, one frame per seed as `read_seeds` gives them, counted by a scoring.

    Raises ValueError where they are not of the same scans.
    """
    ordered = [one.sort_values("scan", kind="stable") for one in seeds]
    scans = [tuple(map(str, one["scan"])) for one in ordered]
    for others in scans:
        check_same_scans(scans[0], others)
    lines = [[counted(line, scoring) for line in one.to_dict("records")] for one in ordered]
    values = np.moveaxis(np.array(lines, dtype=np.float64), 2, 0)
    empty = sum(int(one["empty"].sum()) for one in seeds)
    judged = PERCENT if scoring == "published" and empty else METRICS
    folds = ordered[0].get("fold", pandas.Series(0, ordered[0].index))
    diagonals = ordered[0].get("diagonal", pandas.Series(np.nan, ordered[0].index))
    return Scores(
        scans[0], values, empty, judged, np.asarray(folds, dtype=np.int64), np.asarray(diagonals)
    )


def read_seeds(files: Sequence[str | Path], folds: int = 1) -> list[DataFrame]:
    """The scores of each seed, of all its folds together, with a column `fold`.

    files: seed by seed, each with all its folds. Raises as `read_scores`.
    """
    read = [read_scores(file).assign(fold=place % folds) for place, file in enumerate(files)]
    return [
        pandas.concat(read[first : first + folds], ignore_index=True)
        for first in range(0, len(read), folds)
    ]


def read_scores(file: str | Path) -> DataFrame:
    """A score file. Raises ValueError, naming it and the scan, for scores that cannot be.

    A file that is damaged, has no scans or one twice, a metric of a non-empty prediction that is
    no number, a Dice or Jaccard outside [0, 1]. A scan's name is a text, even where it is `007`.
    """
    try:
        scores = _parsed(Path(file).read_bytes().decode())
    except ValueError as error:
        raise ValueError(f"{file}: damaged, or no score file ({error}): evaluate anew") from None
    if scores.empty:
        raise ValueError(f"{file}: a score file names no scan: evaluate its run anew")
    twice = scores["scan"][scores["scan"].duplicated()]
    if len(twice):
        raise ValueError(
            f"{file}: scan {twice.iloc[0]} stands twice in a score file: evaluate anew"
        )
    found = scores[~scores["empty"]]
    for metric in METRICS:
        outside = ~found[metric].between(0, 1 if metric in PERCENT else np.inf)
        if outside.any():
            scan, value = found.loc[outside, ["scan", metric]].iloc[0]
            raise ValueError(
                f"{file}: scan {scan}: {metric} = {value} is no score: evaluate its run anew"
            )
    return scores


def _parsed(text: str) -> DataFrame:
    """The columns of a score file: names as texts, numbers, NaN where there is none, and bool."""
    if not text.endswith("\n"):
        raise ValueError("its last line is not whole")
    scores = pandas.read_csv(StringIO(text), dtype=str, keep_default_na=False)
    if missing := [name for name in ("scan", *METRICS, "empty") if name not in scores]:
        raise ValueError(f"it has no column {missing[0]}")
    numbers = [*METRICS, *({"diagonal"} & {*scores})]  # which files of once do not have
    scores[numbers] = scores[numbers].replace("", "nan").astype(float)
    if not (known := scores["empty"].isin(TRUTHS)).all():
        scan = scores["scan"][~known].iloc[0]
        raise ValueError(f"scan {scan}: empty is neither {' nor '.join(TRUTHS)}")
    return scores.assign(empty=scores["empty"].map(TRUTHS).astype(bool))


def check_same_scans(scans: Sequence[str], others: Sequence[str]) -> None:
    """Raise ValueError unless both name the same scans in the same order."""
    if tuple(scans) != tuple(others):
        different = sorted(set(scans) ^ set(others)) or sorted(scans)
        raise ValueError(
            f"score files of different scans, such as {different[0]} (they have {len(scans)} and "
            f"{len(others)}): evaluate these runs anew on the same test scans"
        )


def dice_by_title(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Dice in per cent: a row for each scan, a column for each row's `title`, from its `scores`."""
    files = {row["title"]: read_scores(row["scores"]).set_index("scan") for row in rows}
    return DataFrame({title: file["dice"] for title, file in files.items()}) * FACTORS["dice"]
