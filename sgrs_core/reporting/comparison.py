"""Two runs beside each other: the paired differences of their score files."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas

from sgrs_core.evaluation.units import DIFFERENCES_WITHIN, HEADINGS, METRICS
from sgrs_core.files import write_text
from sgrs_core.log import prefix_errors
from sgrs_core.reporting.scores import Scores, check_same_scans, gather, read_scores
from sgrs_core.reporting.statistics import (
    CONFIDENCE,
    FEWEST_SCANS,
    Difference,
    compare,
    compare_networks,
)
from sgrs_core.reporting.typeset import TWO_SEEDS, interval


class Comparison(NamedTuple):
    """The scores of two runs on the same scans, and by metric the difference, one minus other."""

    one: Scores
    other: Scores
    differences: dict[str, Difference]

    @property
    def seeds(self) -> tuple[int, int]:
        """How many seeds each has."""
        return self.one.values.shape[1], self.other.values.shape[1]


def compare_runs(one: Path, other: Path, selection: str, scoring: str) -> Comparison:
    """Compare the runs of two methods, seeds, or score files; see `score_files`.

    Raises FileNotFoundError and ValueError, naming what is missing, and where the scans differ.
    """
    ours, others = (score_files(run, selection) for run in (one, other))
    if ours == others:
        raise ValueError(f"{one}, {other}: the same run twice")
    first, second = (gather(list(map(read_scores, files)), scoring) for files in (ours, others))
    with prefix_errors(f"{one}, {other}: "):
        check_same_scans(first.scans, second.scans)
    have_seeds = min(first.values.shape[1], second.values.shape[1]) > 1
    differences = {
        metric: compare(first.of(metric), second.of(metric))
        if have_seeds
        else compare_networks(first.of(metric).mean(axis=0), second.of(metric).mean(axis=0))
        for metric in METRICS
    }
    return Comparison(first, second, differences)


def score_files(run: Path, selection: str) -> list[Path]:
    """The score files that a path means: itself, a seed folder's, or those of a method's seeds."""
    if run.is_file():
        return [run]
    for pattern in ("scores.csv", f"{selection}/scores.csv", f"seed-*/{selection}/scores.csv"):
        if found := sorted(run.glob(pattern)):
            return found
    raise FileNotFoundError(
        f"{run}: no scores of the selection {selection} here; give a method's folder, "
        "results/<experiment>/<data set>/labelled-<N>/<variant>, one of its seeds, or a scores.csv"
    )


def in_words(comparison: Comparison) -> str:
    """The comparison as lines to read."""
    lines = [f"{'':15}{'A':>8}{'B':>8}{'A - B':>9}  {f'{CONFIDENCE:.0%} interval':26}p"]
    for metric, found in comparison.differences.items():
        means = (float(scores.of(metric).mean()) for scores in comparison[:2])
        numbers = "".join(f"{mean:8.2f}" for mean in means)
        lines.append(
            f"{HEADINGS[metric]:15}{numbers}{found.value:+9.2f}  "
            + interval(found.low, found.high, DIFFERENCES_WITHIN[metric], "+.2f").ljust(24)
            + f"  {'' if math.isnan(found.p) else f'{found.p:.4f}'}"
        )
    of_seeds = " and ".join(map(str, comparison.seeds))
    compared = "methods: the p are of chance in seeds and scans."
    if min(comparison.seeds) < 2:
        compared = (
            "trained networks, not methods: the p are of chance in scans alone, of each scan's "
            "mean over a run's seeds; networks of other seeds may differ otherwise."
        )
    elif min(comparison.seeds) < 3:
        compared += f" {TWO_SEEDS} Those of Dice and Jaccard are cut off at 100 points."
    if len(comparison.one.scans) < FEWEST_SCANS:
        compared += f" From fewer than {FEWEST_SCANS} scans there is no interval and no p."
    lines.append(f"{len(comparison.one.scans)} scans, {of_seeds} seeds: {compared}")
    return "\n".join(line.rstrip() for line in lines)


def write_comparison(file: Path, comparison: Comparison) -> None:
    """Write a CSV: for each metric its means, without a scan's name, then those of every scan.

    Columns metric, scan, a, b, difference, low, high, p; units as in `HEADINGS`.
    """
    rows = []
    for metric, found in comparison.differences.items():
        one, other = (scores.of(metric) for scores in comparison[:2])
        judged = (found.value, found.low, found.high, found.p)
        rows.append((metric, "", one.mean(), other.mean(), *judged))
        means = zip(comparison.one.scans, one.mean(axis=0), other.mean(axis=0), strict=True)
        nothing = (np.nan,) * 3  # an interval is of means
        rows += [(metric, scan, a, b, a - b, *nothing) for scan, a, b in means]
    columns = ["metric", "scan", "a", "b", "difference", "low", "high", "p"]
    write_text(file, pandas.DataFrame(rows, columns=columns).to_csv(index=False))
