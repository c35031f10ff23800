"""What choosing a checkpoint on the test scans adds to a score: best_on_test minus last.

The published numbers were chosen so; this much of them is not there on scans nobody looked at.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pandas import DataFrame

from sgrs_core.evaluation.units import DIFFERENCES_WITHIN, METRICS, NAMES
from sgrs_core.reporting.scores import check_same_scans, gather, read_seeds
from sgrs_core.reporting.statistics import CONFIDENCE, mean_interval
from sgrs_core.reporting.typeset import interval, number

SCORING = "strict"
PARTS = ("last", "best_on_test", "gain")
TITLE = "What choosing a checkpoint on the test scans adds"
LEGEND = (
    f"Each cell: last / best_on_test / gain [{CONFIDENCE:.0%} interval over scans]. Dice and "
    "Jaccard in %, 95HD and ASD in voxels; an empty prediction's are the image's diagonal."
)


def build_selection_gain(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """One row per row spec; columns dataset, labelled, method, seeds, and for each metric five.

    rows: each with `dataset`, `labelled`, `method`, `folds` (1), and the score files, one per seed
    and fold, under `last` and `best_on_test`. Of each metric: last, best_on_test, gain (means over
    scans and seeds) and low, high, Student's 95% interval of the scans' gains. Raises ValueError
    where score files of a row are not of the same scans.
    """
    return DataFrame([_row(row) for row in rows])


def to_markdown(table: DataFrame) -> str:
    """The table as Markdown."""
    shown = table[["dataset", "labelled", "method"]].copy()
    for metric, name in NAMES.items():
        cells = (gain_of(row, metric) for row in table.to_dict("records"))
        shown[name] = [
            f"{last} / {best} / {gain} {ends}".rstrip() for last, best, gain, ends in cells
        ]
    shown["seeds"] = table["seeds"]
    body = shown.to_markdown(index=False, disable_numparse=True)
    return f"# {TITLE}\n\n{LEGEND}\n\n{body}\n"


def gain_of(row: Mapping[Any, Any], metric: str) -> tuple[str, str, str, str]:
    """One metric of a table's row as texts: its PARTS, and the interval of the gain."""
    last, best, gain = (row[f"{metric}_{part}"] for part in PARTS)
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    ends = interval(low, high, DIFFERENCES_WITHIN[metric], "+.2f")
    return number(last), number(best), number(gain, "+.2f"), ends


def _row(given: Mapping[str, Any]) -> dict[str, Any]:
    folds = given.get("folds", 1)
    last, best = (gather(read_seeds(given[part], folds), SCORING) for part in PARTS[:2])
    check_same_scans(last.scans, best.scans)
    row = {name: given[name] for name in ("dataset", "labelled", "method")}
    row["seeds"] = len(given["last"]) // folds
    for metric in METRICS:
        before, after = (one.of(metric).mean(axis=0) for one in (last, best))  # over seeds
        gain = after - before
        numbers = (before.mean(), after.mean(), gain.mean(), *mean_interval(gain))
        names = (f"{metric}_{part}" for part in (*PARTS, "low", "high"))
        row |= dict(zip(names, numbers, strict=True))
    return row
