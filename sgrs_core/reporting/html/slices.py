"""One scan slice by slice: images, and outlines of ground truth and predictions as paths."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import find_contours

from sgrs_core.data.masks import Mask, extent
from sgrs_core.reporting.figures.cases import Case, verdict
from sgrs_core.reporting.figures.planes import grey
from sgrs_core.reporting.html import as_address

MARGIN = 12  # voxels around what is outlined
SLICES = 40  # at most


def slices_of(case: Case) -> dict[str, Any]:
    """Up to SLICES slices from feet to head, as texts and numbers for a JSON file.

    width, height: mm of an image. verdicts: the Dice of each of `panels`. Each slice: `z`, its
    index; `image`, a PNG as a data address; `truth` and `predictions` (as many as `panels`),
    outlines as SVG paths in mm. Seen from the feet, the patient's left at the right.
    """
    shown = np.logical_or.reduce(case.masks)
    window = (extent(shown, 0, MARGIN), extent(shown, 1, MARGIN))
    width, height, _ = shown[window].shape
    along = extent(shown, 2)
    chosen = range(along.start, along.stop, -(-(along.stop - along.start) // SLICES))
    image = grey(case.image)

    def outline(mask: Mask, z: int) -> str:
        return path_of(mask[(*window, z)], case.spacing)

    return {
        "name": case.line,
        "width": width * case.spacing[0],
        "height": height * case.spacing[1],
        "panels": [panel.title for panel in case.panels],
        "verdicts": [verdict(panel.prediction, case.label) for panel in case.panels],
        "slices": [
            {
                "z": z,
                "image": _png(image[(*window, z)]),
                "truth": outline(case.label, z),
                "predictions": [outline(panel.prediction, z) for panel in case.panels],
            }
            for z in chosen
        ],
    }


def path_of(mask: Mask, spacing: tuple[float, ...]) -> str:
    """The outlines of a mask (X, Y) as an SVG path; a voxel spans its index to the next, in mm."""
    scale = np.asarray(spacing[:2])
    parts = []
    for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
        points = (line - 0.5) * scale  # padding moved it by 1; a voxel's middle is half a voxel in
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")
    return "".join(parts)


def _png(image: NDArray[np.floating[Any]]) -> str:
    file = io.BytesIO()
    Image.fromarray((255 * image.T).astype(np.uint8)).save(file, "PNG", optimize=True)
    return as_address(file.getvalue(), ".png")
