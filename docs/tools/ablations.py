"""The paper's ablations (Tables 5 to 7, Figure 4) beside ours, as far as they were run."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from docs.tools.forms import (
    ABLATIONS,
    NOT_PRINTED,
    NOT_RUN,
    SCORES,
    Line,
    as_markdown,
    lines_of,
    mean_dice,
    of_pseudo_labels,
    published,
)
from sgrs_core.reporting.figures.style import FULL_WIDTH, LINES, MARKERS, new_figure, save, styled
from sgrs_core.reporting.scores import gather, read_scores
from sgrs_core.reporting.statistics import Difference, compare
from sgrs_core.reporting.typeset import with_interval

SHEETS = (  # table or figure, its published table, what it is called
    ("table5", "5", "Table 5"),
    ("table6", "6", "Table 6"),
    ("table6_isolated", "6", "Table 6, cross-entropy in its region"),
    ("table7", "7", "Table 7"),
    ("figure4", None, "Figure 4"),
    ("figure4_isolated", None, "Figure 4, cross-entropy in its region"),
)
ABLATIONS_FIGURE = ABLATIONS / "figures/ablations.png"
PUBLISHED, RELEASED, ISOLATED = (
    "published, at full size", "ours, a point a seed", "ours, cross-entropy in its region",
)  # fmt: skip
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "0.5", "marker": "D", "markerfacecolor": "none"},
    {"color": LINES[0], "marker": MARKERS[0], "alpha": 0.8},
    {"color": LINES[1], "marker": MARKERS[1], "alpha": 0.8},
)
WHOLE = "baseline+ma+mt+se_rle"  # Table 5's last row: the method itself
COLUMNS = (
    "row", "Dice, published at full size", "ours, of each seed", "the whole method's lead",
    "Dice of our pseudo labels at the end",
)  # fmt: skip


def rows_of(sheet: str) -> list[Line]:
    """The rows of a table or figure."""
    return lines_of("ablations", sheet)


def row(variant: str, sheet: str = "table5") -> Line:
    """One of them."""
    (found,) = [line for line in rows_of(sheet) if line.variant == variant]
    return found


def ablated(variant: str, sheet: str = "table5", seed: int = 0) -> float:
    """Dice of a row at its last checkpoint, in per cent."""
    return row(variant, sheet).dice(seed)


def of_parts() -> list[list[float]]:
    """Dice of each seed of Table 5's rows, in per cent."""
    return [[line.dice(seed) for seed in line.runs] for line in rows_of("table5")]


def between_forms() -> float:
    """How far apart the means of Table 5's rows lie."""
    return float(np.ptp([np.mean(dice) for dice in of_parts()]))


def between_seeds() -> float:
    """How far apart the seeds of one of them lie at most."""
    return max(float(np.ptp(dice)) for dice in of_parts())


@cache  # the same run stands in several tables
def whole_methods_lead(runs: tuple[Path, ...]) -> Difference:
    """By how much the whole method's Dice is higher than that of a form's runs."""
    whole, other = (
        gather([read_scores(run / SCORES) for run in some], "strict").of("dice")
        for some in (row(WHOLE).runs.values(), runs)
    )
    return compare(whole, other)


def published_lead(variant: str) -> float:
    """The same of Table 5 in the paper, in points."""
    return float(published("5", WHOLE)) - float(published("5", variant))


def further_ablated() -> list[float]:
    """Dice of what Tables 6 and 7 and Figure 4 have besides Table 5, of seed 0, ascending."""
    of_table_5, *others = (
        {line.runs[0] for line in rows_of(sheet) if 0 in line.runs} for sheet, *_ in SHEETS
    )
    return sorted(mean_dice(run / SCORES) for run in set().union(*others) - of_table_5)


def of_thresholds(sheet: str = "figure4") -> list[float]:
    """Dice of Figure 4's thresholds, of seed 0, in their order."""
    return [line.dice() for line in rows_of(sheet)]


def ablations() -> str:
    """All of them, as Markdown."""
    rows = [
        (where, *cells_of(line, number))
        for sheet, number, where in SHEETS
        for line in rows_of(sheet)
    ]
    return as_markdown(("", *COLUMNS), rows)


def parts_table() -> str:
    """Table 5, as Markdown."""
    return as_markdown(COLUMNS, [cells_of(line, "5") for line in rows_of("table5")])


def cells_of(line: Line, table: str | None) -> tuple[str, ...]:
    """A row beside that of a published table."""
    beside = line.title, published(table, line.variant)
    if not line.runs:
        return *beside, NOT_RUN, "", ""
    runs = tuple(line.runs.values())
    is_whole = runs == tuple(row(WHOLE).runs.values())
    return (
        *beside,
        ", ".join(f"{line.dice(seed):.1f}" for seed in line.runs),
        "" if is_whole else with_interval(whole_methods_lead(runs)),
        f"{of_pseudo_labels(runs[0]).iloc[-1]:.1f}",
    )


def ends_of_pseudo_labels(omega: str) -> list[float]:
    """Dice of pseudo labels at the end of seed 0's forms with that loss of Omega, ascending.

    In per cent; of Table 6, in both its forms.
    """
    runs = {
        line.runs[0]
        for sheet in ("table6", "table6_isolated")
        for line in rows_of(sheet)
        if line.variant.startswith(f"omega={omega},")
    }
    return sorted(float(of_pseudo_labels(run).iloc[-1]) for run in runs)


@styled
def draw_ablations() -> None:
    """Every form's Dice, a point for each seed, beside what is published at full size.

    Where a table has a form with the cross-entropy in its region, both forms share its rows.
    """
    names: list[str] = []
    places: dict[tuple[str, str], int] = {}  # of a table's row, from above
    drawn: dict[str, list[tuple[float, int]]] = {PUBLISHED: [], RELEASED: [], ISOLATED: []}
    for sheet, number, where in SHEETS:
        table, _, isolated = where.partition(", ")
        for line in rows_of(sheet):
            if (table, line.variant) not in places:
                places[table, line.variant] = len(names)
                names.append(f"{table}: {line.title}")
            place = places[table, line.variant]
            if (printed := published(number, line.variant)) != NOT_PRINTED:
                drawn[PUBLISHED].append((float(printed), place))
            points = [(line.dice(seed), place) for seed in line.runs]
            drawn[ISOLATED if isolated else RELEASED].extend(points)
    figure = new_figure(FULL_WIDTH, 4.8)
    axes = figure.subplots()
    for (label, points), style in zip(drawn.items(), STYLES, strict=True):
        dice, at = zip(*points, strict=True)
        axes.plot(dice, at, linestyle="", label=label, **style)
    whole = row(WHOLE)
    mean = float(np.mean([whole.dice(seed) for seed in whole.runs]))
    axes.axvline(mean, color="0.6", linestyle=":", zorder=0, label="the whole method's mean")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("Dice (%) at the last checkpoint")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2)
    save(figure, [ABLATIONS_FIGURE])
