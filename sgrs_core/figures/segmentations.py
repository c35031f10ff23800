"""Predictions beside ground truth, as slices and as surfaces: the paper's Figures 2 and 3.

A case takes two rows: a slice with both outlines, and below it both surfaces. Its columns are the
ground truth alone, then one for each panel. Axes of the arrays are taken as a scan's usual ones (x
to the patient's left, y to the back, z to the head): slices are seen from the feet, surfaces from
the front, a little from above.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import marching_cubes

from sgrs_core.figures.style import (
    FULL_WIDTH,
    GROUND_TRUTH,
    NORMAL,
    PREDICTION,
    SMALL,
    new_figure,
    styled,
)
from sgrs_core.metrics import dice

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

PERCENTILES = (1, 99)  # the image's intensities shown as black and as white
ROW_SHAPES = (0.5, 1.2)  # least and greatest height of a row, in column widths
COLUMN_WIDTH = 1.8  # inches, at most
LETTER = 0.075  # inches, about a letter's width
LABEL_WIDTH = 0.4  # inches, for the cases' names
TITLE_LINE, DICE_HEIGHT, LEGEND_HEIGHT = 0.16, 0.3, 0.3  # inches

PIXELS = 540  # along the longer side of a surface's picture: 300 to the inch
POINTS_PER_PIXEL = 1.5  # along a triangle's side; with 1, some pixels lie between points
POINTS_AT_ONCE = 1_000_000  # a noisy prediction has millions of triangles

LIGHT = np.array([-0.48, 0.6, 0.64])  # unit vector to the lamp: over the viewer's left shoulder
AMBIENT = 0.35  # brightness of faces the lamp does not reach
VEIL = 0.5  # opacity of the ground truth's surface before a prediction's


def camera(azimuth: float, elevation: float) -> Points:
    """The directions right, up, and towards the viewer in a scan's axes, as rows (3, 3).

    Angles in degrees, from straight ahead.
    """
    turn, rise = np.radians([azimuth, elevation])
    front, head = np.array([np.sin(turn), -np.cos(turn), 0]), np.array([0, 0, 1])
    up = np.cos(rise) * head - np.sin(rise) * front
    return np.stack([np.cross(head, front), up, np.cos(rise) * front + np.sin(rise) * head])


CAMERA = camera(azimuth=25, elevation=20)


@dataclass(frozen=True)
class Panel:
    """What one method predicted on a scan: (X, Y, Z) bool, maybe empty."""

    title: str
    prediction: Mask


@dataclass(frozen=True)
class Case:
    """One scan: image (X, Y, Z) float32, label (X, Y, Z) bool, spacing in mm per voxel.

    name: what stands beside its rows; lines too long for them lose their middle.
    """

    name: str
    image: NDArray[np.float32]
    label: Mask
    panels: Sequence[Panel]
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)


class Surface(NamedTuple):
    """The faces of a mask that a viewer sees, from the farthest to the nearest.

    triangles: (N, 3, 3), for each corner mm to the right, up and towards the viewer.
    brightness: (N,), 0 to 1.
    """

    triangles: Points
    brightness: Points


class Window(NamedTuple):
    """A grid of pixels before the camera: its left and top edge and a pixel's side, all in mm."""

    left: float
    top: float
    pixel: float
    shape: tuple[int, int]


class View(NamedTuple):
    """A surface in a window, each (H, W).

    depth: mm towards the viewer, -inf where nothing is seen. brightness: 0 to 1.
    """

    depth: Points
    brightness: Points


def median_case(dice_by_scan: Mapping[str, float]) -> str:
    """The scan with the median Dice: the lower of two in the middle, ties broken by name.

    Raises ValueError where there is no scan.
    """
    if not dice_by_scan:
        raise ValueError("no scan has a Dice, so none is the median")
    ordered = sorted(dice_by_scan, key=lambda scan: (dice_by_scan[scan], scan))
    return ordered[(len(ordered) - 1) // 2]


def choose_slice(label: Mask) -> int:
    """The z at which the ground truth has its largest area, the lowest of several such.

    label: (X, Y, Z) bool.
    """
    return int(np.argmax(np.count_nonzero(label, axis=(0, 1))))


@styled
def draw_segmentations(
    cases: Sequence[Case], choose: Callable[[Mask], int] = choose_slice
) -> Figure:
    """Two rows for each case, one column for the ground truth and one for each panel.

    choose: from a case's label (X, Y, Z) bool, the z of the slice to show. Dice, in per cent, is
    of the whole scan. Raises ValueError without cases, where cases differ in their panels' titles,
    or, naming the scan, where masks differ in shape or the label is empty.
    """
    check_cases(cases)
    width = min(COLUMN_WIDTH, FULL_WIDTH / (1 + len(cases[0].panels)))
    titles = [textwrap.fill(title, int(width / LETTER)) for title in titles_of(cases[0])]
    scenes = [surfaces_of(case) for case in cases]
    rows = [row_heights(case, scene, width) for case, scene in zip(cases, scenes, strict=True)]
    figure, parts = empty_page(titles, rows, width)
    for part, case, scene, row in zip(parts, cases, scenes, rows, strict=True):
        axes = part.subplots(2, len(titles), squeeze=False, height_ratios=row)
        draw_slices(axes[0], case, choose(case.label))
        draw_surfaces(axes[1], scene, tolerance=float(np.linalg.norm(case.spacing)))
        name = shortened(case.name, int(sum(row) / LETTER))
        part.supylabel(name, multialignment="center")
    name_columns(parts[0].axes, titles)
    explain_colours(figure)
    return figure


def check_cases(cases: Sequence[Case]) -> None:
    """Raise ValueError unless the cases fit in one figure and their masks fit each other."""
    if not cases:
        raise ValueError("no case to draw")
    for case in cases:
        if titles_of(case) != titles_of(cases[0]):
            raise ValueError(
                f"{case.name}: columns {titles_of(case)} differ from those of {cases[0].name}, "
                f"{titles_of(cases[0])}; give all cases the same panels"
            )
        if not case.label.any():
            raise ValueError(f"{case.name}: the label is empty; show another scan, or repair it")
        shapes = {case.image.shape, case.label.shape, *(p.prediction.shape for p in case.panels)}
        if len(shapes) > 1:
            raise ValueError(f"{case.name}: image, label and predictions differ in shape: {shapes}")


def titles_of(case: Case) -> list[str]:
    """The columns' titles."""
    return ["Ground truth", *(panel.title for panel in case.panels)]


def empty_page(
    titles: Sequence[str], rows: Sequence[tuple[float, float]], width: float
) -> tuple[Figure, Sequence[SubFigure]]:
    """A figure with one part for each case, whose rows have the given heights in inches.

    titles: of its columns, which are `width` inches wide.
    """
    heights = [sum(row) + DICE_HEIGHT for row in rows]
    heights[0] += TITLE_LINE * (1 + max(title.count("\n") for title in titles))
    figure = new_figure(width * len(titles) + LABEL_WIDTH, sum(heights) + LEGEND_HEIGHT)
    parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)
    return figure, list(parts[:, 0])


def row_heights(case: Case, surfaces: Sequence[Surface], width: float) -> tuple[float, float]:
    """Inches that the slices and the surfaces of a case need in columns of that width."""
    columns, rows = np.multiply(case.image.shape, case.spacing)[:2]
    height, across = window_of(surfaces).shape
    slice_row, surface_row = width * np.clip([rows / columns, height / across], *ROW_SHAPES)
    return float(slice_row), float(surface_row)


def name_columns(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Write each column's title above what stands over its first slice already."""
    for column, title in zip(axes, titles, strict=False):
        column.annotate(
            title,
            xy=(0.5, 1),
            xycoords="axes fraction",
            xytext=(0, 2 * SMALL),
            textcoords="offset points",
            ha="center",
            fontsize=NORMAL,
        )


def shortened(name: str, letters: int) -> str:
    """The name with the middle of each line left out where the line is longer than `letters`."""
    half = max((letters - 1) // 2, 1)
    lines = name.splitlines()
    return "\n".join(
        line if len(line) <= letters else f"{line[:half]}…{line[-half:]}" for line in lines
    )


def explain_colours(figure: Figure) -> None:
    """One legend for all panels."""
    handles = [
        Line2D(
            [], [], color=GROUND_TRUTH, linestyle="--", label="Ground truth (dashed, translucent)"
        ),
        Line2D([], [], color=PREDICTION, label="Prediction (solid)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


# Slices


def draw_slices(row: Sequence[Axes], case: Case, z: int) -> None:
    """The image at z in each axes, each prediction's outline, and over it the ground truth's."""
    predictions = (None, *(panel.prediction for panel in case.panels))
    for axes, prediction in zip(row, predictions, strict=True):
        draw_image(axes, case, z)
        if prediction is not None:
            draw_outline(axes, prediction[:, :, z], PREDICTION, "solid")
            axes.set_title(verdict(prediction, case.label))
        draw_outline(axes, case.label[:, :, z], GROUND_TRUTH, "dashed")


def verdict(prediction: Mask, label: Mask) -> str:
    """What stands over a prediction: its Dice on the whole scan, in per cent."""
    if not prediction.any():
        return "empty prediction"
    return f"Dice {100 * dice(prediction, label):.1f}%"


def draw_image(axes: Axes, case: Case, z: int) -> None:
    """One slice in grey: x to the right, y down, at its physical aspect ratio."""
    darkest, brightest = np.percentile(case.image, PERCENTILES)
    axes.imshow(
        case.image[:, :, z].T,
        cmap="gray",
        vmin=darkest,
        vmax=brightest,
        aspect=case.spacing[1] / case.spacing[0],
    )
    axes.set_axis_off()
    axes.set_autoscale_on(False)  # outlines reach half a voxel beyond the image


def draw_outline(axes: Axes, mask: Mask, colour: str, linestyle: str) -> None:
    """The border of a 2D mask (X, Y), closed where the mask reaches the image's edge."""
    if not mask.any():
        return  # contour() would warn
    padded = np.pad(mask, 1).T.astype(float)
    x, y = (np.arange(-1, side + 1) for side in mask.shape)
    axes.contour(x, y, padded, [0.5], colors=colour, linestyles=linestyle, linewidths=1.2)


# Surfaces


def surfaces_of(case: Case) -> list[Surface]:
    """Of the ground truth, then of each panel's prediction."""
    masks = [case.label, *(panel.prediction for panel in case.panels)]
    return [surface_of(mask, case.spacing) for mask in masks]


def draw_surfaces(row: Sequence[Axes], surfaces: Sequence[Surface], tolerance: float) -> None:
    """The ground truth alone, then each prediction with the ground truth as a veil before it.

    The veil shows where the ground truth is at least `tolerance` mm nearer to the viewer, or has
    nothing behind it: without a tolerance, surfaces that agree would be mottled. All share one
    window and scale.
    """
    window = window_of(surfaces)
    truth, *predictions = (view_of(surface, window) for surface in surfaces)
    blank = np.ones((*window.shape, 3))
    pictures = [painted(blank, truth, GROUND_TRUTH, np.isfinite(truth.depth), 1)]
    for prediction in predictions:
        below = painted(blank, prediction, PREDICTION, np.isfinite(prediction.depth), 1)
        in_front = truth.depth > prediction.depth + tolerance
        pictures.append(painted(below, truth, GROUND_TRUTH, in_front, VEIL))
    for axes, picture in zip(row, pictures, strict=True):
        axes.imshow(picture)
        axes.set_axis_off()


def painted(picture: Points, view: View, colour: str, where: Mask, opacity: float) -> Points:
    """A copy of the picture (H, W, 3), 0 to 1, with a view laid over it `where` (H, W) says so."""
    shaded = view.brightness[where][:, None] * to_rgb(colour)
    copy = picture.copy()
    copy[where] = (1 - opacity) * copy[where] + opacity * shaded
    return copy


def window_of(surfaces: Sequence[Surface]) -> Window:
    """The smallest window that shows every surface whole."""
    points = np.concatenate([surface.triangles[:, :, :2].reshape(-1, 2) for surface in surfaces])
    low, high = points.min(axis=0), points.max(axis=0)
    pixel = float((high - low).max()) / PIXELS
    columns, rows = np.ceil((high - low) / pixel).astype(int) + 1
    return Window(float(low[0]), float(high[1]), pixel, (int(rows), int(columns)))


def view_of(surface: Surface, window: Window) -> View:
    """Look at a surface: at each pixel, its nearest triangle."""
    depth, brightness = np.full(window.shape, -np.inf), np.zeros(window.shape)
    shares = covering_shares(surface.triangles, window.pixel)
    step = max(POINTS_AT_ONCE // len(shares), 1)
    for start in range(0, len(surface.triangles), step):
        points = shares @ surface.triangles[start : start + step]
        columns = ((points[..., 0] - window.left) / window.pixel).astype(int)
        rows = ((window.top - points[..., 1]) / window.pixel).astype(int)
        # Triangles come from far to near, and of values for one pixel numpy keeps the last.
        depth[rows, columns] = points[..., 2]
        brightness[rows, columns] = surface.brightness[start : start + step, None]
    return View(depth, brightness)


def covering_shares(triangles: Points, pixel: float) -> Points:
    """Shares (K, 3) of a triangle's corners that make up points of it.

    There are enough of them that the points touch every pixel of the largest triangle.
    """
    sides = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=-1)
    steps = int(np.ceil(POINTS_PER_PIXEL * sides.max(initial=0) / pixel)) + 1
    first, second = np.mgrid[: steps + 1, : steps + 1].reshape(2, -1)
    third = steps - first - second
    shares: Points = np.stack([first, second, third], axis=1)[third >= 0] / steps
    return shares


def surface_of(mask: Mask, spacing: Sequence[float]) -> Surface:
    """The exact border of a mask (X, Y, Z) as the camera sees it; without faces where it is empty.

    Faces turned away are left out.
    """
    if not mask.any():
        return Surface(np.empty((0, 3, 3)), np.empty(0))
    padded = np.pad(mask, 1).astype(float)  # closes the surface at the array's edge
    corners, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    places = corners[faces].astype(float)
    triangles = (places * spacing) @ CAMERA.T
    sides = np.diff(triangles[:, :, :2], axis=1)
    seen = np.flatnonzero(sides[:, 0, 0] * sides[:, 1, 1] > sides[:, 0, 1] * sides[:, 1, 0])
    order = seen[np.argsort(triangles[seen, :, 2].mean(axis=1), kind="stable")]
    normals = normals_at(places[order].mean(axis=1), padded, spacing) @ CAMERA.T
    brightness = AMBIENT + (1 - AMBIENT) * np.clip(normals @ LIGHT, 0, 1)
    return Surface(triangles[order], brightness)


def normals_at(places: Points, mask: Points, spacing: Sequence[float]) -> Points:
    """Outward unit normals (N, 3) of a mask's border at places (N, 3), in voxels.

    They are those of a blurred copy, so that shading shows the shape and not the voxels.
    """
    slopes = np.gradient(gaussian_filter(mask, 1), *spacing)
    inward = np.stack([map_coordinates(slope, places.T, order=1) for slope in slopes], axis=-1)
    lengths = np.linalg.norm(inward, axis=1, keepdims=True)
    outward: Points = -inward / np.maximum(lengths, np.finfo(float).eps)
    return outward
