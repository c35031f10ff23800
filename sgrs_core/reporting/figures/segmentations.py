"""Predictions beside ground truth, as slices and as surfaces: the paper's Figures 2 and 3.

A case takes a row for each slice, with both outlines, and below them a row of surfaces. Its columns
are the ground truth alone, then one for each method; where these are many, they go on below.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from sgrs_core.experiment.settings import Slices
from sgrs_core.reporting.figures import style
from sgrs_core.reporting.figures.cases import Case, check_cases, shortened, verdict
from sgrs_core.reporting.figures.planes import draw_image, draw_outline, grey
from sgrs_core.reporting.figures.surfaces import Points, images_of, surface_of

ROW_SHAPES = (0.5, 1.2)  # least and greatest height of a row, in column widths
COLUMN_WIDTH = 1.8  # inches, at most
MOST_COLUMNS = 6  # side by side: with more, they are too narrow for outlines and titles
LABEL_WIDTH = 0.4  # inches, for the cases' names
DICE_HEIGHT, LEGEND_HEIGHT = 0.3, 0.3  # inches


@dataclass(frozen=True)
class Shown:
    """What a figure shows of a case: some of its slices, and an image of each surface.

    case: with axes as `Case.seen_along` gives them. heights: of its rows in inches, slices first.
    """

    case: Case
    indices: Sequence[int]
    surfaces: Sequence[Points]
    heights: Sequence[float]


@style.styled
def draw_segmentations(cases: Sequence[Case], slices: Slices | None = None) -> Figure:
    """A column for the ground truth and one for each panel; rows of slices, then one of surfaces.

    slices: which ones; by default, the one where the ground truth's area is largest. Dice, in per
    cent, is of the whole scan. Raises ValueError without cases, where cases differ in their panels'
    titles, or, naming the scan, where masks differ in shape, the label is empty, or a slice does
    not exist.
    """
    check_cases(cases)
    titles = ["Ground truth", *cases[0].predictions]
    strips = strips_of(len(titles))
    width = min(COLUMN_WIDTH, style.FULL_WIDTH / len(strips[0]))
    titles = [textwrap.fill(title, int(width / style.LETTER)) for title in titles]
    shown = [shown_of(case, slices or Slices(), width) for case in cases]
    parts = [(one, columns) for one in shown for columns in strips]
    # One strip's titles hold for all cases; those of several strips differ.
    names = [
        [titles[column] for column in columns] if one is shown[0] or len(strips) > 1 else []
        for one, columns in parts
    ]
    heights = [
        sum(one.heights) + DICE_HEIGHT + (style.height_of(own) if own else 0)
        for (one, _), own in zip(parts, names, strict=True)
    ]
    figure = style.new_figure(width * len(strips[0]) + LABEL_WIDTH, sum(heights) + LEGEND_HEIGHT)
    pages = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for page, (one, columns), own in zip(pages, parts, names, strict=True):
        draw_strip(page, one, columns, own, len(strips[0]))
    explain_colours(figure)
    return figure


def strips_of(columns: int) -> list[range]:
    """The columns in as few strips as are narrow enough, the last one maybe shorter."""
    strips = -(-columns // MOST_COLUMNS)
    length = -(-columns // strips)
    return [range(start, min(start + length, columns)) for start in range(0, columns, length)]


def shown_of(case: Case, slices: Slices, width: float) -> Shown:
    """What a case shows in columns that are `width` inches wide."""
    surfaces = [surface_of(mask, case.spacing) for mask in case.masks]
    images = images_of(surfaces, tolerance=float(np.linalg.norm(case.spacing)))
    indices, seen = case.chosen(slices), case.seen_along(slices.direction)
    height, across = images[0].shape[:2]
    shapes = [*[seen.height_over_width] * len(indices), height / across]
    return Shown(seen, indices, images, (width * np.clip(shapes, *ROW_SHAPES)).tolist())


def draw_strip(
    page: SubFigure, shown: Shown, columns: Sequence[int], names: Sequence[str], places: int
) -> None:
    """Some columns of a case, in a grid that has `places` columns; their names, where given."""
    grid = page.subplots(len(shown.heights), places, squeeze=False, height_ratios=shown.heights)
    case, image = shown.case, grey(shown.case.image)
    for place, column in enumerate(columns):
        mask = case.masks[column]
        for axes, index in zip(grid[:, place], shown.indices, strict=False):
            draw_image(axes, image[..., index], case.spacing)
            if column:
                draw_outline(axes, mask[..., index], style.PREDICTION, "solid")
            draw_outline(axes, case.label[..., index], style.GROUND_TRUTH, "dashed")
        above = [*names[place : place + 1], verdict(mask, case.label) if column else ""]
        grid[0, place].set_title("\n".join(above))
        grid[-1, place].imshow(shown.surfaces[column])
    for axes in (*grid[-1], *grid[:, len(columns) :].flat):
        axes.set_axis_off()  # not removed: an empty place keeps the strips aligned
    name = shortened(case.name, int(sum(shown.heights) / style.LETTER))
    page.supylabel(name, multialignment="center")


def explain_colours(figure: Figure) -> None:
    """One legend for all panels."""
    truth = "Ground truth (dashed, translucent)"
    handles = [
        Line2D([], [], color=style.GROUND_TRUTH, linestyle="--", label=truth),
        Line2D([], [], color=style.PREDICTION, label="Prediction (solid)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
