"""The one gate for geometry: whatever the format, a scan's voxels lie where this module says.

A reader hands over what its file states as an affine matrix, in mm of the patient's left, back and
head (LPS). What is missing, not finite, absurd or no rigid grid is refused by the file's name.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]

LENGTHS = (1e-4, 100.0)  # mm: a voxel's sides, from microscopes to the thickest slices
FARTHEST = 1e5  # mm: from the patient's origin; beyond, NIfTI's single precision rounds visibly
TOLERATED = 0.25  # of the smallest side: how far a grid may be from the one it is taken for
IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ROUNDED = 1e-6  # cosines: directions this close to right angles stay as they are

logger = logging.getLogger(__name__)


class Geometry(NamedTuple):
    """Where an image's voxels lie; the first three fields are those of PlacedImage.

    spacing: mm per voxel along x, y, z. origin: mm, position of voxel (0, 0, 0). direction: 3x3
    cosines, row-major. source: what in the file says so.
    """

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    source: str

    def affine(self) -> Affine:
        """4x4, from voxels to mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix


def rigid_grid(affine: Affine, shape: Sequence[int], file: Path, source: str) -> Geometry:
    """The rectangular grid that an affine matrix (4x4, voxels to LPS in mm) describes.

    shape: (X, Y, Z). Raises ValueError, naming the file, the source and the number, for what is not
    finite, a voxel or a place of absurd size, and axes that are not at right angles.
    """
    told = f"{file}: {source}"
    if not np.isfinite(affine).all():
        raise ValueError(f"{told} holds numbers that are not finite: {affine[:3].tolist()}")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    check_spacing(spacing, told)
    if np.abs(affine[:3, 3]).max() > FARTHEST:
        raise ValueError(f"{told} puts the scan at {affine[:3, 3].tolist()} mm; repair its header")
    cosines = affine[:3, :3] / spacing
    if np.abs(cosines.T @ cosines - np.eye(3)).max() > ROUNDED:
        left, _, right = np.linalg.svd(cosines)
        cosines = left @ right  # the nearest right angles
    direction, origin = (cosines + 0.0).ravel(), affine[:3, 3]
    geometry = Geometry(*(tuple(one.tolist()) for one in (spacing, origin, direction)), source)
    moved = farthest(geometry.affine(), affine, shape)
    if moved > TOLERATED * spacing.min():
        raise ValueError(
            f"{told} gives axes that are not at right angles (a gantry tilt, or shear): on a "
            f"rectangular grid voxels would lie up to {moved:.2f} mm off; resample the scan first"
        )
    logger.info("%s: %s", file, geometry)
    return geometry


def check_spacing(spacing: Sequence[float] | NDArray[np.float64], told: str) -> None:
    """Raise ValueError where a voxel's sides (mm) are zero, not finite or absurd."""
    least, most = LENGTHS
    if not all(least <= side <= most for side in spacing):
        raise ValueError(
            f"{told} gives voxels of {' x '.join(f'{side:g}' for side in spacing)} mm, allowed are "
            f"{least:g} to {most:g}; write the true spacing into the file"
        )


def check_agreement(geometries: Mapping[str, Geometry], shape: Sequence[int], file: Path) -> None:
    """Raise ValueError where a file says in two ways where its voxels lie, and they differ."""
    (name, first), *others = geometries.items()
    for other, second in others:
        moved = farthest(first.affine(), second.affine(), shape)
        if moved > TOLERATED * min(first.spacing):
            raise ValueError(
                f"{file}: ambiguous: {name} and {other} put voxels up to {moved:.2f} mm apart, and "
                "programs differ in which they take; make them agree (say, fslorient "
                "-copysform2qform)"
            )


def farthest(one: Affine, other: Affine, shape: Sequence[int]) -> float:
    """How far apart two affine matrices put the same voxel of a scan at most, mm."""
    corners = np.array([[*index, 1] for index in product(*((0, side - 1) for side in shape))])
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())
