"""Sortable tables: what the report shows of each of its tables, cell by cell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas
from pandas import DataFrame

from sgrs_core.evaluation.units import FACTORS, HEADINGS, METRICS
from sgrs_core.reporting import typeset
from sgrs_core.reporting.html import SELECTIONS
from sgrs_core.reporting.selection_gain import PARTS as GAIN_PARTS
from sgrs_core.reporting.selection_gain import gain_of
from sgrs_core.reporting.statistics import DIFFERENT, EQUIVALENT, INCONCLUSIVE

NO_BREAK = "\N{NO-BREAK SPACE}"
BESIDE_PUBLISHED = ("published", "ours", "difference")


class Cell(NamedTuple):
    """text: what one reads, and by which the column is sorted; small: what stands below it."""

    text: str
    small: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class SortableTable:
    """A table. groups: metrics over several columns, each with how many; may be empty.

    A reader picks one of the metrics; columns of the group "" are always shown. faint: indices of
    rows that stand back, such as those that the experiment does not run.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    groups: Sequence[tuple[str, int]] = ()
    faint: frozenset[int] = frozenset()

    @property
    def metrics(self) -> list[str]:
        """Of each column its group."""
        return [metric for metric, width in self.groups for _ in range(width)]


def words(value: Any) -> Cell:
    """A cell of words."""
    return Cell(str(value), is_number=False)


def number(value: float | None, form: str = ".0f") -> Cell:
    """A cell with a number, which may be missing."""
    return Cell(typeset.number(value, form))


def of_table(table: DataFrame, confidence: float) -> Iterator[tuple[str, SortableTable]]:
    """A table as `build_table` makes it: name and rows of each selection and scoring.

    Published numbers have columns where there are any that are comparable.
    """
    for selection, scoring, part in typeset.parts_of(table):
        each = BESIDE_PUBLISHED if typeset.has_published(part) else ("ours",)
        more = ["seeds", *(["empty"] if part["empty"].sum() else [])]
        columns = ["method", "labelled", *each * len(METRICS), *more]
        rows = [_row(row, each, more, confidence) for row in part.to_dict("records")]
        faint = frozenset(place for place, seeds in enumerate(part["seeds"]) if not seeds)
        name = ", ".join(filter(None, (SELECTIONS[selection], scoring)))
        yield name, SortableTable(name, columns, rows, _groups(2, len(each), len(more)), faint)


def of_gain(gain: DataFrame, caption: str) -> SortableTable:
    """What choosing on test scans adds, as `build_selection_gain` makes it."""
    rows = []
    for row in gain.to_dict("records"):
        cells = [words(row["method"]), number(row["labelled"]), words(row["dataset"])]
        for metric in METRICS:
            last, best, added, interval = gain_of(row, metric)
            cells += [Cell(last), Cell(best), Cell(added, interval)]
        rows.append([*cells, number(row["seeds"])])
    parts = [SELECTIONS.get(part, part) for part in GAIN_PARTS]
    columns = ["method", "labelled", "data set", *parts * len(METRICS), "seeds"]
    return SortableTable(caption, columns, rows, _groups(3, len(GAIN_PARTS), 1))


def of_scores(scores: DataFrame, caption: str) -> SortableTable:
    """The scores of one run's test scans, the worst Dice first."""
    values = scores[list(METRICS)].astype(float) * list(FACTORS.values())
    shown = values.rename(columns=HEADINGS).sort_values(HEADINGS["dice"], kind="stable")
    shown.insert(0, "scan", scores["scan"])
    shown["empty prediction"] = scores["empty"].map({True: "yes", False: "no"})
    return of_frame(shown, caption)


def of_frame(frame: DataFrame, caption: str) -> SortableTable:
    """Any table; each column is all words, whole numbers, or numbers with as many decimals."""
    columns = [_column(frame[name]) for name in frame]
    names = [str(name).replace("_", " ") for name in frame]
    return SortableTable(caption, names, list(zip(*columns, strict=True)))


def verdicts(table: DataFrame) -> list[dict[str, Any]]:
    """For each selection and scoring with comparable published values, what is said of them."""
    counts = []
    for selection, scoring, part in typeset.parts_of(table):
        said = part[[f"{metric}_verdict" for metric in METRICS]].to_numpy().ravel().tolist()
        count = {word: said.count(word) for word in (EQUIVALENT, DIFFERENT, INCONCLUSIVE)}
        if any(count.values()):
            counts.append({"checkpoint": SELECTIONS[selection], "scoring": scoring, **count})
    return counts


def _row(
    row: Mapping[Any, Any], each: Sequence[str], more: Sequence[str], confidence: float
) -> list[Cell]:
    cells = [words(row["title"]), number(row["labelled"])]
    for metric in METRICS:
        score = typeset.score_of(row, metric, confidence)
        # A narrow window breaks between the parts, not within one.
        parts = [score.interval, " ".join(filter(None, (score.spread, score.marks)))]
        behind = " ".join(part.replace(" ", NO_BREAK) for part in parts if part)
        cells += [Cell(getattr(score, part), behind if part == "ours" else "") for part in each]
    # Of a row that is not run there are none of either.
    return [*cells, *(number(row[name] if row["seeds"] else None) for name in more)]


def _column(values: "pandas.Series[Any]") -> list[Cell]:
    if not pandas.api.types.is_numeric_dtype(values) or pandas.api.types.is_bool_dtype(values):
        return [words(value) for value in values]
    known = values.dropna()
    is_whole, is_large = (known % 1 == 0).all(), (known.abs() >= 10).any()
    decimals = 0 if is_whole else 2 if is_large else 3
    return [number(float(value), f".{decimals}f") for value in values]


def _groups(before: int, each: int, after: int) -> list[tuple[str, int]]:
    """A group for each metric's columns; none for those before and after."""
    return [("", before), *((heading, each) for heading in HEADINGS.values()), ("", after)]
