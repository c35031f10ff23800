"""Sortable tables: cells with the text one reads and the value by which they are sorted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas
from pandas import DataFrame

from sgrs_core.reporting import typeset
from sgrs_core.reporting.scores import HEADINGS, METRICS, in_units
from sgrs_core.reporting.statistics import DIFFERENT, EQUIVALENT, INCONCLUSIVE

BESIDE_PUBLISHED = ("published", "ours", "difference")


@dataclass(frozen=True)
class Cell:
    """text: what one reads; small: what stands below it; value: what sorts it, None at the end."""

    text: str
    value: float | str | None
    small: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class SortableTable:
    """A table. groups: names over several columns, each with how many; may be empty.

    faint: indices of rows that stand back, such as those that the experiment does not run.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    groups: Sequence[tuple[str, int]] = ()
    faint: frozenset[int] = field(default_factory=frozenset)


def text(value: Any) -> Cell:
    """A cell of words."""
    return Cell(str(value), str(value), is_number=False)


def number(value: float | None, form: str = ".2f", small: str = "") -> Cell:
    """A cell with a number, which may be missing."""
    return _number(typeset.number(value, form), value, small)


def _number(shown: str, value: float | None, small: str = "") -> Cell:
    return Cell(shown, None if shown == typeset.MISSING else value, small)


def of_table(table: DataFrame, confidence: float) -> Iterator[tuple[str, SortableTable]]:
    """A table as `build_table` makes it: name and rows of each selection and scoring.

    Published numbers have columns where there are any that are comparable.
    """
    for selection, scoring, part in typeset.parts_of(table):
        each = BESIDE_PUBLISHED if typeset.has_published(part) else ("ours",)
        columns = ["method", "labelled", *each * len(METRICS), "seeds", "empty"]
        groups = [("", 2), *_over_metrics(len(each)), ("", 2)]
        rows = [_row(row, each, confidence) for row in part.to_dict("records")]
        faint = frozenset(place for place, seeds in enumerate(part["seeds"]) if not seeds)
        name = f"selection {selection}, scoring {scoring}"
        yield name, SortableTable(name, columns, rows, groups, faint)


def of_gain(gain: DataFrame, caption: str) -> SortableTable:
    """What choosing on test scans adds, as `build_selection_gain` makes it."""
    groups = [("", 3), *_over_metrics(3), ("", 1)]
    columns = ["method", "labelled", "data set"]
    columns += ["last", "best_on_test", "gain"] * len(METRICS) + ["seeds"]
    rows = []
    for row in gain.to_dict("records"):
        cells = [text(row["method"]), number(row["labelled"], "d"), text(row["dataset"])]
        for metric in METRICS:
            low, high = row[f"{metric}_low"], row[f"{metric}_high"]
            interval = typeset.interval(low, high, "+.2f")
            cells += [number(row[f"{metric}_{part}"]) for part in ("last", "best_on_test")]
            cells.append(number(row[f"{metric}_gain"], "+.2f", interval))
        rows.append([*cells, number(row["seeds"], "d")])
    return SortableTable(caption, columns, rows, groups)


def of_scores(scores: DataFrame, caption: str) -> SortableTable:
    """The scores of one run's test scans, the worst Dice first."""
    ordered = scores.sort_values("dice", kind="stable")
    rows = [
        [text(scan), *map(number, values), text("yes" if empty else "no")]
        for scan, empty, values in zip(
            ordered["scan"], ordered["empty"], in_units(ordered).to_numpy(), strict=True
        )
    ]
    return SortableTable(caption, ["scan", *HEADINGS.values(), "empty prediction"], rows)


def of_frame(frame: DataFrame, caption: str) -> SortableTable:
    """Any table; each column is all words, whole numbers, or numbers with as many decimals."""
    columns = [_column(frame[name]) for name in frame]
    names = [str(name).replace("_", " ") for name in frame]
    return SortableTable(caption, names, list(zip(*columns, strict=True)))


def verdicts(table: DataFrame) -> list[dict[str, Any]]:
    """For each selection and scoring with comparable published values, what is said of them."""
    counts = []
    for selection, scoring, part in typeset.parts_of(table):
        words = part[[f"{metric}_verdict" for metric in METRICS]].to_numpy().ravel().tolist()
        count = {word: words.count(word) for word in (EQUIVALENT, DIFFERENT, INCONCLUSIVE)}
        if any(count.values()):
            counts.append({"selection": selection, "scoring": scoring, **count})
    return counts


def _row(row: Mapping[Any, Any], each: Sequence[str], confidence: float) -> list[Cell]:
    cells = [text(row["title"]), number(row["labelled"], "d")]
    for metric in METRICS:
        score = typeset.score_of(row, metric, confidence)
        behind = " ".join(filter(None, (score.interval, score.spread, score.marks)))
        for part in each:
            shown, value = getattr(score, part), row[f"{metric}_{part}"]
            cells.append(_number(shown, value, behind if part == "ours" else ""))
    return [*cells, number(row["seeds"], "d"), number(row["empty"], ".0f")]


def _column(values: "pandas.Series[Any]") -> list[Cell]:
    if not pandas.api.types.is_numeric_dtype(values) or pandas.api.types.is_bool_dtype(values):
        return [text(value) for value in values]
    known = values.dropna()
    is_whole, is_large = (known % 1 == 0).all(), (known.abs() >= 10).any()
    decimals = 0 if is_whole else 2 if is_large else 3
    return [number(float(value), f".{decimals}f") for value in values]


def _over_metrics(columns: int) -> list[tuple[str, int]]:
    return [(heading, columns) for heading in HEADINGS.values()]
