"""One case to look at: slices with outlines as paths, and surfaces that a reader can turn.

Surfaces are small mesh files for the report's viewer, niivue.
"""

import base64
import gzip
import io
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from skimage.measure import find_contours, marching_cubes

from sgrs_core.data.masks import Mask, extent
from sgrs_core.reporting.figures.cases import Case, verdict
from sgrs_core.reporting.figures.planes import grey
from sgrs_core.reporting.html import as_address

MARGIN = 12  # voxels around what is outlined
SLICES = 40  # at most
MOST_TRIANGLES = 20_000  # of a surface; a noisy prediction has millions
STEPS = (1, 2, 3, 4, 6, 8, 12, 16)  # voxels between a mesh's corners
# MZ3, as niivue and Surfice read it: a magic number, which parts follow (faces, corners), their
# counts, and bytes to skip.
HEADER, MAGIC, PARTS = "<HHIII", 0x5A4D, 3
TO_RAS = (-1, -1, 1)  # a viewer's axes run to the patient's right and front


def report_case(case: Case, with_surfaces: bool) -> dict[str, Any]:
    """Up to SLICES slices from feet to head, as texts and numbers for a JSON file.

    width, height: mm of an image. verdicts: the Dice of each of `panels`. Each slice: `z`, its
    index; `image`, a PNG as a data address; `truth` and `predictions` (as many as `panels`),
    outlines as SVG paths in mm. Seen from the feet, the patient's left at the right. surfaces: that
    of the ground truth and of each panel, as `mesh_of` gives them, or none.
    """
    seen = replace(case, image=grey(case.image)).cropped(MARGIN)
    width, height, _ = np.multiply(seen.label.shape, seen.spacing).tolist()
    along = extent(np.logical_or.reduce(seen.masks), 2)
    step = -(-(along.stop - along.start) // SLICES)
    slices = []
    for z in range(along.start, along.stop, step):
        truth, *predictions = (path_of(mask[..., z], seen.spacing) for mask in seen.masks)
        pixels = (255 * seen.image[..., z].T).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", optimize=True)
        image = as_address(file.getvalue(), ".png")
        slices.append({"z": z, "image": image, "truth": truth, "predictions": predictions})
    return {
        "name": case.line,
        "width": width,
        "height": height,
        "panels": list(case.predictions),
        "verdicts": [verdict(one, case.label) for one in case.predictions.values()],
        "slices": slices,
        "surfaces": [mesh_of(one, case.spacing) for one in case.masks] if with_surfaces else [],
    }


def path_of(mask: Mask, spacing: tuple[float, ...]) -> str:
    """The outlines of a mask (X, Y) as an SVG path; a voxel spans its index to the next, in mm."""
    scale = np.asarray(spacing[:2])
    parts = []
    for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
        points = (line - 0.5) * scale  # padding moved it by 1; a voxel's middle is half a voxel in
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")
    return "".join(parts)


def mesh_of(mask: Mask, spacing: Sequence[float]) -> str:
    """The border of a mask (X, Y, Z) in mm, as an MZ3 file in base64; empty where the mask is.

    With too many triangles it is made from coarser steps.
    """
    if not mask.any():
        return ""
    padded = np.pad(mask, STEPS[-1]).astype(np.float32)  # closes it at the array's edge
    for step in STEPS:
        corners, faces, _, _ = marching_cubes(
            padded, 0.5, step_size=step, gradient_direction="ascent"
        )
        if len(faces) <= MOST_TRIANGLES:
            break
    places = (corners - STEPS[-1] + 0.5) * spacing * TO_RAS
    content = (
        struct.pack(HEADER, MAGIC, PARTS, len(faces), len(places), 0)
        + faces.astype("<i4").tobytes()
        + places.astype("<f4").tobytes()
    )
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()
