"""Masks as surfaces that a reader can turn: small mesh files for the report's viewer, niivue."""

import base64
import gzip
import struct
from collections.abc import Sequence

import numpy as np
from skimage.measure import marching_cubes

from sgrs_core.data.masks import Mask
from sgrs_core.reporting.figures.cases import Case

MOST_TRIANGLES = 20_000  # of a surface; a noisy prediction has millions
STEPS = (1, 2, 3, 4, 6, 8, 12, 16)  # voxels between a mesh's corners
# MZ3, as niivue and Surfice read it: a magic number, which parts follow (faces, corners), their
# counts, and bytes to skip.
HEADER, MAGIC, PARTS = "<HHIII", 0x5A4D, 3
TO_RAS = (-1, -1, 1)  # a viewer's axes run to the patient's right and front


def surfaces_of(case: Case) -> list[str]:
    """The surfaces of the ground truth and of each panel, as `mesh_of` gives them."""
    return [mesh_of(mask, case.spacing) for mask in case.masks]


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
