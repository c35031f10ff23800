"""What choosing a checkpoint on the test scans adds to a score: best_on_test minus last.

The published numbers were chosen so; this much of them is not there on scans nobody looked at. No
torch here: a job that writes a table starts in a second.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas
from pandas import DataFrame

from sgrs_core.reporting.scores import METRICS, NAMES, check_same_scans, gather, read_scores
from sgrs_core.reporting.statistics import CONFIDENCE, mean_interval
from sgrs_core.reporting.typeset import interval, number

SCORING = "strict"
TITLE = "What choosing a checkpoint on the test scans adds"
LEGEND = (
    f"Each cell: last / best_on_test / gain [{CONFIDENCE:.0%} interval over scans]. Dice and "
    "Jaccard in %, 95HD and ASD in voxels; an empty prediction's are the image's diagonal."
)


def build_selection_gain(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """One row per row spec; columns dataset, labelled, method, seeds, and for each metric five.

    rows: each with `dataset`, `labelled`, `method`, and the score files, one per seed, under
    `last` and `best_on_test`. Of each metric: last, best_on_test, gain (means over scans and
    seeds) and low, high, Student's 95% interval of the scans' gains. Raises ValueError where score
    files of a row are not of the same scans.
    """
    return DataFrame([_row(row) for row in rows])


def to_markdown(table: DataFrame) -> str:
    """The table as Markdown."""
    shown = table[["dataset", "labelled", "method"]].copy()
    for metric, name in NAMES.items():
        shown[name] = [_cell(row, metric) for _, row in table.iterrows()]
    shown["seeds"] = table["seeds"]
    body = shown.to_markdown(index=False, disable_numparse=True)
    return f"# {TITLE}\n\n{LEGEND}\n\n{body}\n"


def _row(given: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: given[name] for name in ("dataset", "labelled", "method")}
    row["seeds"] = len(given["last"])
    last, best = (
        gather([read_scores(file) for file in given[selection]], SCORING)
        for selection in ("last", "best_on_test")
    )
    check_same_scans(last.scans, best.scans)
    for metric in METRICS:
        before, after = (one.of(metric).mean(axis=0) for one in (last, best))  # over seeds
        low, high = mean_interval(after - before)
        row |= {
            f"{metric}_last": float(before.mean()),
            f"{metric}_best_on_test": float(after.mean()),
            f"{metric}_gain": float((after - before).mean()),
            f"{metric}_low": float(low),
            f"{metric}_high": float(high),
        }
    return row


def _cell(row: "pandas.Series[Any]", metric: str) -> str:
    last, best, gain, low, high = (
        row[f"{metric}_{part}"] for part in ("last", "best_on_test", "gain", "low", "high")
    )
    ends = interval(low, high, "+.2f")
    return f"{number(last)} / {number(best)} / {number(gain, '+.2f')} {ends}".rstrip()
