"""Error maps: what each method finds, adds and misses of the ground truth.

A row for each method, a column for each slice of each case. Added is bright and missed is dark, so
that colour-blind readers and those of a grey print tell them apart.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sgrs_core.data.masks import Mask
from sgrs_core.experiment.settings import Slices
from sgrs_core.reporting.figures import style
from sgrs_core.reporting.figures.cases import Case, check_cases, shortened, verdict
from sgrs_core.reporting.figures.planes import draw_image, draw_outline, grey

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
NAME_WIDTH, LEGEND_WIDTH, GAP = 0.85, 1.7, 0.1  # inches
SPACE = 0.04  # between slices, in their widths
CUBIC_MM = 1000  # in a millilitre
NO_BREAK = "\N{NO-BREAK SPACE}"


@style.styled
def draw_error_maps(cases: Sequence[Case], slices: Slices | None = None) -> Figure:
    """The cases side by side, each with as many columns as slices: three, where none are given.

    Over each row of a case stand Dice, in per cent, and the volumes added and missed, in ml, of the
    whole scan. Raises ValueError as `draw_segmentations` does.
    """
    slices = slices or Slices(count=3)
    check_cases(cases)
    chosen = [case.chosen(slices) for case in cases]
    cases = [
        replace(case, image=grey(case.image)).seen_along(slices.direction).cropped(MARGIN)
        for case in cases
    ]
    methods = [textwrap.fill(one, int(NAME_WIDTH / style.LETTER)) for one in cases[0].predictions]
    room = style.FULL_WIDTH - NAME_WIDTH - GAP * len(cases)
    width = min(COLUMN_WIDTH, room / sum(map(len, chosen)))
    widths = [NAME_WIDTH, *(part for indices in chosen for part in (width * len(indices), GAP))]
    letters = [int(one / style.LETTER) for one in widths[1::2]]
    heads = [
        case.line if len(case.line) <= room_for else shortened(case.name, room_for)
        for case, room_for in zip(cases, letters, strict=True)
    ]
    captions = [captions_of(*one) for one in zip(cases, letters, strict=True)]
    caption = style.height_of([text for texts in captions for text in texts]) + GAP
    # Many methods get lower slices, so that all fit on a printed page.
    most = max(FULL_HEIGHT / len(methods) - caption, LEAST_HEIGHT)
    shape = max(case.height_over_width for case in cases)
    height = min(width * float(np.clip(shape, *ROW_SHAPES)), most)
    entries = max(1, int(sum(widths) / LEGEND_WIDTH))  # of the legend, side by side
    legend = style.LINE * (2 + len(MEANINGS) // entries) + GAP
    heights = [style.height_of(heads) + GAP, style.LINE, *[caption, height] * len(methods), legend]
    figure = style.new_figure(sum(widths), sum(heights))
    figure.set_layout_engine("none")  # each part is as large as it says
    # Names at the left; of each case its name, the slices', and a caption above each row of slices.
    parts = figure.subfigures(
        len(heights), len(widths), squeeze=False, width_ratios=widths, height_ratios=heights
    )
    for part, method in zip(parts[3::2, 0], methods, strict=True):
        part.text(0.95, 0.5, method, ha="right", va="center", fontsize=style.NORMAL)
    for column, case, indices, head, texts in zip(
        parts.T[1::2], cases, chosen, heads, captions, strict=True
    ):
        column[0].text(0, 0.5, head, va="center")
        for place, index in enumerate(indices):
            column[1].text(place / len(indices), 0.5, f"{slices.axis} = {index}", va="center")
        for above, text in zip(column[2:-1:2], texts, strict=True):
            above.text(0, 0.1, text)
        for part, prediction in zip(column[3::2], case.predictions.values(), strict=True):
            draw_errors(part, case, prediction, indices)
    explain_colours(figure, entries)
    return figure


def captions_of(case: Case, letters: int) -> list[str]:
    """What stands over each method's row, in lines of so many letters."""
    voxel = float(np.prod(case.spacing)) / CUBIC_MM
    captions = []
    for prediction in case.predictions.values():
        added = voxel * np.count_nonzero(prediction & ~case.label)
        missed = voxel * np.count_nonzero(case.label & ~prediction)
        parts = (
            f"{verdict(prediction, case.label)},",
            f"added {added:.1f} ml,",
            f"missed {missed:.1f} ml",
        )
        unbroken = " ".join(part.replace(" ", NO_BREAK) for part in parts)
        captions.append(textwrap.fill(unbroken, letters))
    return captions


def draw_errors(part: SubFigure, case: Case, prediction: Mask, indices: Sequence[int]) -> None:
    """A case's slices side by side, with a method's errors and the ground truth's outline."""
    edges = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": SPACE}
    row = part.subplots(1, len(indices), squeeze=False, gridspec_kw=edges)[0]
    for axes, index in zip(row, indices, strict=True):
        label = case.label[..., index]
        coloured = error_map(case.image[..., index], prediction[..., index], label)
        draw_image(axes, coloured, case.spacing)
        draw_outline(axes, label, "black", "solid", OUTLINE)
        axes.set_anchor("NW")


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
    handles: list[Artist] = [
        Patch(facecolor=tuple(tinted(middle, colour)), label=meaning)
        for colour, meaning in MEANINGS.items()
    ]
    handles.append(Line2D([], [], color="black", linewidth=OUTLINE, label="ground truth"))
    figure.legend(handles=handles, loc="lower center", ncols=columns)
