"""Error maps: what each method finds, adds and misses of the ground truth.

A row for each method, a column for each slice of each case. Added is bright and missed is dark, so
that colour-blind readers and those of a grey print tell them apart.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sgrs_core.data.masks import Mask, extent
from sgrs_core.experiment.slices import Slices
from sgrs_core.reporting.figures.cases import Case, Panel, check_cases, shortened, verdict
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
    LETTER,
    LINE,
    NORMAL,
    height_of,
    new_figure,
    styled,
    write_above,
)

Image = NDArray[np.floating[Any]]

# Okabe and Ito's yellow and sky blue, and their blue made darker; how much each hides the image.
ADDED, FOUND, MISSED = "#F0E442", "#56B4E9", "#002B5C"
OPACITY = {ADDED: 0.9, FOUND: 0.4, MISSED: 0.9}
MEANINGS = {
    FOUND: "found (true positive)",
    ADDED: "added (false positive)",
    MISSED: "missed (false negative)",
}
GREYS = (0.4, 0.75)  # the image's black and white: errors are darker and brighter than either
OUTLINE = 0.5  # points: in grey print, what is found may be as bright as the blood around it
MARGIN = 8  # voxels around what is found, added or missed in any row
ROW_SHAPES = (0.3, 1.2)  # least and greatest height of a slice, in column widths
COLUMN_WIDTH = 1.6  # inches, at most
FULL_HEIGHT, LEAST_HEIGHT = 9, 0.5  # inches, of all rows where that can be, and of a slice
NAME_WIDTH, LEGEND_WIDTH, GAP, PAD = 0.85, 1.7, 0.1, 0.04  # inches
CUBIC_MM = 1000  # in a millilitre
NO_BREAK = "\N{NO-BREAK SPACE}"


@styled
def draw_error_maps(cases: Sequence[Case], slices: Slices | None = None) -> Figure:
    """The cases side by side, each with as many columns as slices: three, where none are given.

    Over each row of a case stand Dice, in per cent, and the volumes added and missed, in ml, of the
    whole scan. Raises ValueError as `draw_segmentations` does.
    """
    slices = slices or Slices(count=3)
    check_cases(cases)
    chosen = [case.chosen(slices) for case in cases]
    cases = [cropped(case, slices.direction) for case in cases]
    rows, columns, gaps = len(cases[0].panels), sum(map(len, chosen)), GAP * (len(cases) - 1)
    width = min(COLUMN_WIDTH, (FULL_WIDTH - NAME_WIDTH - gaps) / columns)
    letters = [int(width * len(indices) / LETTER) for indices in chosen]
    heads = [head_of(*one) for one in zip(cases, letters, strict=True)]
    captions = [captions_of(*one) for one in zip(cases, letters, strict=True)]
    caption = height_of([text for texts in captions for text in texts])
    shapes = [height_over_width(case.label.shape, case.spacing, slices.direction) for case in cases]
    # Many methods get lower slices, so that all fit on a printed page.
    room = max(FULL_HEIGHT / rows - caption - GAP, LEAST_HEIGHT)
    height = min(width * float(np.clip(max(shapes), *ROW_SHAPES)), room)
    page_width = NAME_WIDTH + width * columns + gaps
    entries = max(1, int(page_width / LEGEND_WIDTH))  # of the legend, side by side
    legend = LINE * (2 + len(MEANINGS) // entries) + GAP
    top = height_of(heads) + LINE + caption + 3 * GAP
    page_height = top + rows * height + (rows - 1) * (caption + GAP) + legend
    figure = new_figure(page_width, page_height)
    figure.set_layout_engine("none")  # captions are wider than the slice that they stand over
    left = NAME_WIDTH
    for case, indices, head, texts in zip(cases, chosen, heads, captions, strict=True):
        right = left + width * len(indices)
        own = figure.add_gridspec(
            rows,
            len(indices),
            left=left / page_width,
            right=(right - PAD) / page_width,
            top=1 - top / page_height,
            bottom=legend / page_height,
            hspace=(caption + GAP) / height,
            wspace=PAD / width,
        ).subplots(squeeze=False)
        if left == NAME_WIDTH:
            name_rows(own[:, 0], case)
        left = right + GAP
        for place, index in enumerate(indices):
            draw_column(own[:, place], case, slices.direction, index)
            write_above(own[0, place], f"{slices.axis} = {index}", caption + GAP)
        for axes, text in zip(own[:, 0], texts, strict=True):
            write_above(axes, text, PAD)
        write_above(own[0, 0], head, caption + LINE + 2 * GAP)
    explain_colours(figure, entries)
    return figure


def cropped(case: Case, direction: int) -> Case:
    """The case around all that its slices can show of masks; its image in grey, from 0 to 1."""
    shown = np.logical_or.reduce(case.masks)
    window = tuple(
        slice(None) if axis == direction else extent(shown, axis, MARGIN) for axis in range(3)
    )
    panels = [Panel(panel.title, panel.prediction[window]) for panel in case.panels]
    image = grey(case.image)[window].astype(np.float32)
    return replace(case, image=image, label=case.label[window], panels=panels)


def head_of(case: Case, letters: int) -> str:
    """A case's name in one line where that has room, in two where not."""
    return case.line if len(case.line) <= letters else shortened(case.name, letters)


def captions_of(case: Case, letters: int) -> list[str]:
    """What stands over each method's row, in lines of so many letters."""
    voxel = float(np.prod(case.spacing)) / CUBIC_MM
    captions = []
    for panel in case.panels:
        added = voxel * np.count_nonzero(panel.prediction & ~case.label)
        missed = voxel * np.count_nonzero(case.label & ~panel.prediction)
        parts = (
            f"{verdict(panel.prediction, case.label)},",
            f"added {added:.1f} ml,",
            f"missed {missed:.1f} ml",
        )
        unbroken = " ".join(part.replace(" ", NO_BREAK) for part in parts)
        captions.append(textwrap.fill(unbroken, letters))
    return captions


def name_rows(column: Iterable[Axes], case: Case) -> None:
    """Write the methods' names at the left of their slices."""
    for axes, panel in zip(column, case.panels, strict=True):
        axes.annotate(
            textwrap.fill(panel.title, int(NAME_WIDTH / LETTER)),
            xy=(0, 0.5),
            xycoords="axes fraction",
            xytext=(-NORMAL / 2, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=NORMAL,
        )


def draw_column(column: Iterable[Axes], case: Case, direction: int, index: int) -> None:
    """One slice of a case, with each method's errors, one below the other."""
    for axes, panel in zip(column, case.panels, strict=True):
        image, prediction, label = (
            plane(array, direction, index) for array in (case.image, panel.prediction, case.label)
        )
        draw_image(axes, error_map(image, prediction, label), pixel_of(case.spacing, direction))
        draw_outline(axes, label, "black", "solid", OUTLINE)
        axes.set_anchor("W")


def error_map(image: Image, prediction: Mask, label: Mask) -> Image:
    """A slice (rows, columns) in colours, (rows, columns, 3): image 0 to 1, masks over it."""
    dark, bright = GREYS
    coloured: Image = np.repeat(dark + (bright - dark) * image[..., None], 3, axis=-1)
    for colour, where in (
        (ADDED, prediction & ~label),
        (FOUND, prediction & label),
        (MISSED, label & ~prediction),
    ):
        coloured[where] = tinted(coloured[where], colour)
    return coloured


def tinted(pixels: Image, colour: str) -> Image:
    """Pixels (..., 3) under one of the colours."""
    return (1 - OPACITY[colour]) * pixels + OPACITY[colour] * np.array(to_rgb(colour))


def explain_colours(figure: Figure, columns: int) -> None:
    """One legend for all slices, each colour over the image's middle grey."""
    middle = np.full(3, sum(GREYS) / 2)
    handles: list[Artist] = []
    for colour, meaning in MEANINGS.items():
        red, green, blue = tinted(middle, colour).tolist()
        handles.append(Patch(facecolor=(red, green, blue), label=meaning))
    handles.append(Line2D([], [], color="black", linewidth=OUTLINE, label="ground truth"))
    figure.legend(handles=handles, loc="lower center", ncols=columns)
