"""What choosing a checkpoint on the test scans adds to a score: best_on_test minus last.

The published numbers were chosen so; this much of them is not there on scans nobody looked at. No
torch here: a job that writes a table starts in a second.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas
from pandas import DataFrame

from sgrs_core.statistics import interval
from sgrs_core.tables import METRICS, NAMES, scan_means

SCORING = "strict"
TITLE = "What choosing a checkpoint on the test scans adds"
LEGEND = (
    "Each cell: last / best_on_test / gain [95% interval over scans]. Dice and Jaccard in %, 95HD "
    "and ASD in voxels, of scans with a prediction."
)


def build_selection_gain(lines: Sequence[Mapping[str, Any]]) -> DataFrame:
    """One row per line; columns dataset, labelled, method, seeds, and for each metric five.

    lines: each with `dataset`, `labelled`, `method`, and the score files, one per seed, under
    `last` and `best_on_test`. Of each metric: last, best_on_test, gain (means over scans of the
    means over seeds) and low, high, the bootstrap 95% interval of the gain.
    """
    return DataFrame([_row(line) for line in lines])


def to_markdown(table: DataFrame) -> str:
    """The table as Markdown."""
    shown = table[["dataset", "labelled", "method"]].copy()
    for metric, name in NAMES.items():
        shown[name] = [_cell(row, metric) for _, row in table.iterrows()]
    shown["seeds"] = table["seeds"]
    body = shown.to_markdown(index=False, disable_numparse=True)
    return f"# {TITLE}\n\n{LEGEND}\n\n{body}\n"


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: line[name] for name in ("dataset", "labelled", "method")}
    row["seeds"] = len(line["last"])
    last, best = (
        scan_means([pandas.read_csv(file) for file in line[selection]], SCORING)
        for selection in ("last", "best_on_test")
    )
    for metric in METRICS:
        gains = (best[metric] - last[metric]).dropna()
        low, high = interval(gains)
        row |= {
            f"{metric}_last": float(last[metric].mean()),
            f"{metric}_best_on_test": float(best[metric].mean()),
            f"{metric}_gain": float(gains.mean()),
            f"{metric}_low": low,
            f"{metric}_high": high,
        }
    return row


def _cell(row: "pandas.Series[Any]", metric: str) -> str:
    last, best, gain, low, high = (
        row[f"{metric}_{part}"] for part in ("last", "best_on_test", "gain", "low", "high")
    )
    return f"{last:.2f} / {best:.2f} / {gain:+.2f} [{low:+.2f}, {high:+.2f}]"
