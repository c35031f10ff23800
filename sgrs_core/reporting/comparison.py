"""Two runs beside each other: the paired differences of their score files."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from pandas import DataFrame

from sgrs_core.evaluation.units import DIFFERENCES_WITHIN, HEADINGS, METRICS
from sgrs_core.log import prefix_errors
from sgrs_core.reporting.scores import check_same_scans, gather, read_seeds
from sgrs_core.reporting.statistics import (
    CONFIDENCE,
    FEWEST_SCANS,
    Difference,
    compare,
    compare_networks,
)
from sgrs_core.reporting.typeset import TWO_SEEDS, interval


class Comparison(NamedTuple):
    """Two runs, a and b, on the same scans.

    table: for each metric a row of means, without a scan's name, then one for every scan. Columns
    metric, scan, a, b, difference, and of means low, high, p; units as in `HEADINGS`. seeds: how
    many each run has; scans: how many both have. judged: whether distances are, which those that
    hold an empty prediction's 0 are not.
    """

    table: DataFrame
    seeds: tuple[int, int]
    scans: int
    judged: bool


def compare_runs(one: Path, other: Path, selection: str, scoring: str) -> Comparison:
    """Compare the runs of two methods, seeds, or score files; see `score_files`.

    Raises FileNotFoundError and ValueError, naming what is missing, and where the scans differ.
    """
    ours, others = (score_files(run, selection) for run in (one, other))
    if shared := {file.resolve() for file in ours} & {file.resolve() for file in others}:
        raise ValueError(f"{one}, {other}: the same run twice, {min(shared)} is in both")
    first, second = (gather(read_seeds(files), scoring) for files in (ours, others))
    with prefix_errors(f"{one}, {other}: "):
        check_same_scans(first.scans, second.scans)
        for scan, a, b in zip(first.scans, first.diagonals, second.diagonals, strict=True):
            if abs(a - b) > 0.01:
                raise ValueError(
                    f"scan {scan} has a diagonal of {a:.0f} voxels in one and {b:.0f} in the "
                    "other: not the same scan, or not of the same size (downsample)"
                )
    judged = set(first.judged).intersection(second.judged)
    have_seeds = min(len(ours), len(others)) > 1
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        values, beside = first.of(metric), second.of(metric)
        a, b = values.mean(axis=0), beside.mean(axis=0)  # of each scan
        found = compare(values, beside) if have_seeds else compare_networks(a, b)
        if metric not in judged:
            found = Difference(found.value)
        ends = {"low": found.low, "high": found.high, "p": found.p}
        means = {"a": values.mean(), "b": beside.mean(), "difference": found.value}
        rows.append({"metric": metric, "scan": "", **means, **ends})
        rows += [
            {"metric": metric, "scan": scan, "a": mine, "b": theirs, "difference": mine - theirs}
            for scan, mine, theirs in zip(first.scans, a, b, strict=True)
        ]
    seeds, scans = (len(ours), len(others)), len(first.scans)
    return Comparison(DataFrame(rows), seeds, scans, judged >= set(METRICS))


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
    table = comparison.table
    for row in table[table["scan"] == ""].to_dict("records"):
        metric, p = row["metric"], row["p"]
        ends = interval(row["low"], row["high"], DIFFERENCES_WITHIN[metric], "+.2f")
        if math.isnan(row["difference"]):
            lines.append(f"{HEADINGS[metric]:15}not known: an empty mask, and no diagonal")
            continue
        of_p = "" if math.isnan(p) else f"{p:.4f}" if p >= 0.0001 else "<0.0001"
        lines.append(
            f"{HEADINGS[metric]:15}{row['a']:8.2f}{row['b']:8.2f}{row['difference']:+9.2f}  "
            f"{ends:24}  {of_p}"
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
    if comparison.scans < FEWEST_SCANS:
        compared += f" From fewer than {FEWEST_SCANS} scans there is no interval and no p."
    elif min(comparison.seeds) > 1 and math.isnan(table["p"].iloc[0]):  # of Dice
        compared += " Too many of the bootstrap's draws hold nothing that varies for a p."
    if not comparison.judged:
        compared += " Distances in which an empty prediction counts as 0 are not judged."
    lines.append(f"{comparison.scans} scans, {of_seeds} seeds: {compared}")
    return "\n".join(line.rstrip() for line in lines)
