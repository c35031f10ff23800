"""How a slice is drawn: the image in grey, outlines of masks over it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from sgrs_core.data.masks import Mask

PERCENTILES = (1, 99)  # the image's intensities shown as black and as white


def grey(image: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Intensities from 0, black, to 1, white."""
    darkest, brightest = np.percentile(image, PERCENTILES)
    scaled: NDArray[np.floating[Any]] = np.clip(
        (image - darkest) / max(brightest - darkest, 1e-6), 0, 1
    )
    return scaled


def draw_image(axes: Axes, image: NDArray[Any], spacing: Sequence[float]) -> None:
    """An image in grey (0 to 1) or colours; spacing: its pixels' height and width in mm first."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=spacing[0] / spacing[1])
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
