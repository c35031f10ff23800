"""Predictions beside ground truth, as slices and as surfaces: the paper's Figures 2 and 3.

A case takes a row for each slice, with both outlines, and below them a row of surfaces. Its columns
are the ground truth alone, then one for each method; where these are many, they go on below.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from sgrs_core.experiment.slices import Slices
from sgrs_core.reporting.figures.cases import Case, check_cases, shortened, verdict
from sgrs_core.reporting.figures.planes import (
    draw_image,
    draw_outline,
    grey,
    height_over_width,
    pixel_of,
    plane,
)
from sgrs_core.reporting.figures.style import (
    FULL_WIDTH,
    GROUND_TRUTH,
    LETTER,
    LINE,
    NORMAL,
    PREDICTION,
    height_of,
    new_figure,
    styled,
    write_above,
)
from sgrs_core.reporting.figures.surfaces import Points, images_of, surface_of

ROW_SHAPES = (0.5, 1.2)  # least and greatest height of a row, in column widths
COLUMN_WIDTH = 1.8  # inches, at most
MOST_COLUMNS = 6  # side by side: with more, they are too narrow for outlines and titles
LABEL_WIDTH = 0.4  # inches, for the cases' names
DICE_HEIGHT, LEGEND_HEIGHT, PAD = 0.3, 0.3, 0.08  # inches


@dataclass(frozen=True)
class Rows:
    """What a case shows: its slices' direction and indices, and an image of each surface.

    heights: of its rows in inches, slices first.
    """

    direction: int
    indices: Sequence[int]
    surfaces: Sequence[Points]
    heights: Sequence[float]


@styled
def draw_segmentations(cases: Sequence[Case], slices: Slices | None = None) -> Figure:
    """A column for the ground truth and one for each panel; rows of slices, then one of surfaces.

    slices: which ones; by default, the one where the ground truth's area is largest. Dice, in per
    cent, is of the whole scan. Raises ValueError without cases, where cases differ in their panels'
    titles, or, naming the scan, where masks differ in shape, the label is empty, or a slice does
    not exist.
    """
    check_cases(cases)
    strips = strips_of(1 + len(cases[0].panels))
    width = min(COLUMN_WIDTH, FULL_WIDTH / len(strips[0]))
    titles = ["Ground truth", *(panel.title for panel in cases[0].panels)]
    titles = [textwrap.fill(title, int(width / LETTER)) for title in titles]
    rows = [rows_of(case, slices or Slices(), width) for case in cases]
    parts = [(place, columns) for place in range(len(cases)) for columns in strips]
    # One strip's titles hold for all cases; those of several strips differ.
    named = [place == 0 or len(strips) > 1 for place, _ in parts]
    heights = [
        sum(rows[place].heights)
        + DICE_HEIGHT
        + is_named * height_of([titles[column] for column in columns])
        for (place, columns), is_named in zip(parts, named, strict=True)
    ]
    figure = new_figure(width * len(strips[0]) + LABEL_WIDTH, sum(heights) + LEGEND_HEIGHT)
    pages = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for page, (place, columns), is_named in zip(pages, parts, named, strict=True):
        grid = draw_strip(page, cases[place], rows[place], columns, len(strips[0]))
        if is_named:
            name_columns(grid, [titles[column] for column in columns])
    explain_colours(figure)
    return figure


def strips_of(columns: int) -> list[range]:
    """The columns in as few strips as are narrow enough, the last one maybe shorter."""
    strips = -(-columns // MOST_COLUMNS)
    length = -(-columns // strips)
    return [range(start, min(start + length, columns)) for start in range(0, columns, length)]


def rows_of(case: Case, slices: Slices, width: float) -> Rows:
    """What a case shows in columns that are `width` inches wide."""
    surfaces = [surface_of(mask, case.spacing) for mask in case.masks]
    images = images_of(surfaces, tolerance=float(np.linalg.norm(case.spacing)))
    indices, direction = case.chosen(slices), slices.direction
    shapes = [height_over_width(case.label.shape, case.spacing, direction)] * len(indices)
    height, across = images[0].shape[:2]
    heights = width * np.clip([*shapes, height / across], *ROW_SHAPES)
    return Rows(direction, indices, images, heights.tolist())


def draw_strip(
    page: SubFigure, case: Case, rows: Rows, columns: Sequence[int], places: int
) -> list[Axes]:
    """Some columns of a case, in a grid that has `places` columns; the axes of its first row."""
    grid = page.subplots(len(rows.heights), places, squeeze=False, height_ratios=rows.heights)
    image = grey(case.image)
    for place, column in enumerate(columns):
        for axes, index in zip(grid[:, place], rows.indices, strict=False):
            draw_image(
                axes, plane(image, rows.direction, index), pixel_of(case.spacing, rows.direction)
            )
            draw_outlines(axes, case, column, rows.direction, index)
        if column:
            grid[0, place].set_title(verdict(case.panels[column - 1].prediction, case.label))
        grid[-1, place].imshow(rows.surfaces[column])
        grid[-1, place].set_axis_off()
    for axes in grid[:, len(columns) :].flat:
        axes.set_axis_off()  # not removed: its place keeps the strips aligned
    page.supylabel(shortened(case.name, int(sum(rows.heights) / LETTER)), multialignment="center")
    return list(grid[0, : len(columns)])


def draw_outlines(axes: Axes, case: Case, column: int, direction: int, index: int) -> None:
    """A column's prediction, where it has one, and over it the ground truth."""
    if column:
        prediction = case.panels[column - 1].prediction
        draw_outline(axes, plane(prediction, direction, index), PREDICTION, "solid")
    draw_outline(axes, plane(case.label, direction, index), GROUND_TRUTH, "dashed")


def name_columns(row: Sequence[Axes], titles: Sequence[str]) -> None:
    """Write each column's title above what stands over its first slice already."""
    for axes, title in zip(row, titles, strict=True):
        write_above(axes, title, LINE + PAD, x=0.5, ha="center", fontsize=NORMAL)


def explain_colours(figure: Figure) -> None:
    """One legend for all panels."""
    handles = [
        Line2D(
            [], [], color=GROUND_TRUTH, linestyle="--", label="Ground truth (dashed, translucent)"
        ),
        Line2D([], [], color=PREDICTION, label="Prediction (solid)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
