"""A slice of a scan as an image: rows downwards, columns to the right.

Slices along z are seen from the feet, the patient's left at the right; along y from the front, and
along x with the front at the left, both with the head on top.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from sgrs_core.data.masks import Mask

PERCENTILES = (1, 99)  # the image's intensities shown as black and as white


def plane(array: NDArray[Any], direction: int, index: int) -> NDArray[Any]:
    """The slice of an array (X, Y, Z) at an index along an axis: (rows, columns)."""
    image = array.take(index, axis=direction).T
    return image if direction == 2 else image[::-1]


def pixel_of(spacing: Sequence[float], direction: int) -> tuple[float, float]:
    """Height and width in mm of a pixel of such a slice."""
    width, height = (side for axis, side in enumerate(spacing) if axis != direction)
    return height, width


def height_over_width(shape: Sequence[int], spacing: Sequence[float], direction: int) -> float:
    """The physical proportions of such slices of a scan."""
    height, width = pixel_of(np.multiply(shape, spacing).tolist(), direction)
    return height / width


def grey(image: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Intensities from 0, black, to 1, white."""
    darkest, brightest = np.percentile(image, PERCENTILES)
    scaled: NDArray[np.floating[Any]] = np.clip(
        (image - darkest) / max(brightest - darkest, 1e-6), 0, 1
    )
    return scaled


def draw_image(axes: Axes, image: NDArray[Any], pixel: tuple[float, float]) -> None:
    """An image in grey (0 to 1) or colours, whose pixels have that height and width in mm."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=pixel[0] / pixel[1])
    axes.set_axis_off()
    axes.set_autoscale_on(False)  # outlines reach half a voxel beyond the image


def draw_outline(
    axes: Axes, mask: Mask, colour: str, linestyle: str, linewidth: float = 1.2
) -> None:
    """The border of a slice's mask, closed where the mask reaches the image's edge."""
    if not mask.any():
        return  # contour() would warn
    rows, columns = (np.arange(-1, side + 1) for side in mask.shape)
    axes.contour(
        columns, rows, np.pad(mask, 1).astype(float), [0.5],
        colors=colour, linestyles=linestyle, linewidths=linewidth,
    )  # fmt: skip
