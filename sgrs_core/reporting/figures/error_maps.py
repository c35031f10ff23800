"""Error maps: what each method finds, adds and misses of the ground truth.

A row for each method, a column for each slice of each case. Added is bright and missed is dark, so
that colour-blind readers and those of a grey print tell them apart.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sgrs_core.experiment.slices import Mask, Slices
from sgrs_core.reporting.figures.cases import Case, Panel, check_cases, shortened, verdict
from sgrs_core.reporting.figures.planes import (
    draw_outline,
    draw_picture,
    extent,
    grey,
    height_over_width,
    pixel_of,
    plane,
)
from sgrs_core.reporting.figures.style import FULL_WIDTH, LETTER, NORMAL, new_figure, styled

Picture = NDArray[np.floating[Any]]

# Okabe and Ito's yellow and sky blue, and their blue made darker; how much each hides the image.
ADDED, FOUND, MISSED = "#F0E442", "#56B4E9", "#002B5C"
OPACITY = {ADDED: 0.9, FOUND: 0.4, MISSED: 0.9}
GREYS = (0.4, 0.75)  # the image's black and white: errors are darker and brighter than either

MEANINGS = {  # whether prediction and ground truth hold such a voxel
    "found (true positive)": (True, True),
    "added (false positive)": (True, False),
    "missed (false negative)": (False, True),
}
OUTLINE = 0.5  # points: in grey print, what is found may be as bright as the blood around it
MARGIN = 8  # voxels around what is found, added or missed in any row
ROW_SHAPES = (0.3, 1.2)  # least and greatest height of a slice, in column widths
COLUMN_WIDTH = 1.6  # inches, at most
FULL_HEIGHT, LEAST_HEIGHT = 9, 0.5  # inches, of all rows where that can be, and of a slice
NAME_WIDTH, LINE, GAP = 0.85, 0.15, 0.08  # inches: the methods' names, a line of text, space
LEGEND_WIDTH, LEGEND_LINE = 1.7, 0.16  # inches, of an entry
CUBIC_MM = 1000  # in a millilitre
NO_BREAK = "\N{NO-BREAK SPACE}"


class Sizes(NamedTuple):
    """A slice's width and height, and the height of what stands over a row, in inches."""

    width: float
    height: float
    caption: float

    @property
    def row(self) -> float:
        """The height of a method's row."""
        return self.caption + self.height + GAP


class Page:
    """A figure on which everything has its place, in inches from the upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = new_figure(width, height)
        self.figure.set_layout_engine("none")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of that size."""
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def write(self, left: float, top: float, text: str, **how: Any) -> None:
        """A text, whose upper left corner stands there unless `how` says otherwise."""
        how = {"va": "top"} | how
        self.figure.text(left / self.width, 1 - top / self.height, text, **how)


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
    columns, gaps = sum(map(len, chosen)), GAP * (len(cases) - 1)
    width = min(COLUMN_WIDTH, (FULL_WIDTH - NAME_WIDTH - gaps) / columns)
    letters = [int(width * len(indices) / LETTER) for indices in chosen]
    heads = [head_of(*one) for one in zip(cases, letters, strict=True)]
    captions = [captions_of(*one) for one in zip(cases, letters, strict=True)]
    shapes = [height_over_width(case.label.shape, case.spacing, slices.direction) for case in cases]
    caption = height_of([text for texts in captions for text in texts])
    # Many methods get lower slices, so that all fit on a printed page.
    room = FULL_HEIGHT / max(len(cases[0].panels), 1) - caption - GAP
    height = width * float(np.clip(max(shapes), *ROW_SHAPES))
    sizes = Sizes(width, min(height, max(room, LEAST_HEIGHT)), caption)
    top = height_of(heads) + LINE + 3 * GAP
    page_width = NAME_WIDTH + gaps + width * columns
    legend_columns = max(1, int(page_width / LEGEND_WIDTH))
    bottom = LEGEND_LINE * (2 + len(MEANINGS) // legend_columns)
    page = Page(page_width, top + sizes.row * len(cases[0].panels) + bottom)
    name_rows(page, [panel.title for panel in cases[0].panels], top, sizes)
    left = NAME_WIDTH
    for case, indices, head, texts in zip(cases, chosen, heads, captions, strict=True):
        page.write(left, GAP, head)
        for place, index in enumerate(indices):
            where = left + place * width
            page.write(where, top - LINE - GAP, f"{slices.axis} = {index}")
            draw_column(page, case, slices.direction, index, (where, top), sizes)
        for number, text in enumerate(texts):
            page.write(left, top + number * sizes.row, text)
        left += width * len(indices) + GAP
    explain_colours(page.figure, legend_columns)
    return page.figure


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


def height_of(texts: Sequence[str]) -> float:
    """Inches that the longest of some texts needs."""
    return LINE * (1 + max((text.count("\n") for text in texts), default=0))


def name_rows(page: Page, titles: Sequence[str], head: float, sizes: Sizes) -> None:
    """Write the methods' names at the left of their slices."""
    for number, title in enumerate(titles):
        middle = head + number * sizes.row + sizes.caption + sizes.height / 2
        name = textwrap.fill(title, int((NAME_WIDTH - GAP) / LETTER))
        page.write(GAP, middle, name, va="center", fontsize=NORMAL)


def draw_column(
    page: Page, case: Case, direction: int, index: int, corner: tuple[float, float], sizes: Sizes
) -> None:
    """One slice of a case, with each method's errors, one below the other."""
    left, top = corner
    for number, panel in enumerate(case.panels):
        down = top + number * sizes.row + sizes.caption
        axes = page.axes(left, down, sizes.width - GAP / 2, sizes.height)
        axes.set_anchor("W")
        image, prediction, label = (
            plane(array, direction, index) for array in (case.image, panel.prediction, case.label)
        )
        draw_picture(axes, error_map(image, prediction, label), pixel_of(case.spacing, direction))
        draw_outline(axes, label, "black", "solid", OUTLINE)


def error_map(image: Picture, prediction: Mask, label: Mask) -> Picture:
    """A slice (rows, columns) in colours, (rows, columns, 3): image 0 to 1, masks over it."""
    dark, bright = GREYS
    picture: Picture = np.repeat(dark + (bright - dark) * image[..., None], 3, axis=-1)
    for colour, where in (
        (ADDED, prediction & ~label),
        (FOUND, prediction & label),
        (MISSED, label & ~prediction),
    ):
        opacity = OPACITY[colour]
        picture[where] = (1 - opacity) * picture[where] + opacity * np.array(to_rgb(colour))
    return picture


def explain_colours(figure: Figure, columns: int) -> None:
    """One legend for all slices, each colour over the image's middle grey."""
    blank = np.full((1, 1), 0.5)
    handles: list[Artist] = []
    for meaning, (prediction, label) in MEANINGS.items():
        colour = error_map(blank, np.full((1, 1), prediction), np.full((1, 1), label))[0, 0]
        handles.append(Patch(facecolor=colour, label=meaning))
    handles.append(Line2D([], [], color="black", linewidth=OUTLINE, label="ground truth"))
    figure.legend(handles=handles, loc="lower center", ncols=columns)
