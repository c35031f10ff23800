"""The one gate for geometry: whatever the format, a scan's voxels lie where this module says."""

import logging
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]  # 4x4, from voxels to mm of the patient's left, back and head (LPS)

IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SIDES = (1e-4, 100.0)  # mm, least and most: from microscopes to the thickest slices
FARTHEST = 1e5  # mm, from the patient's origin: beyond, NIfTI's single precision rounds visibly
TOLERATED = 0.25  # of the smallest side: how far a grid may be from the one it is taken for
UNIT = 0.01  # how far from 1 the length of written cosines may be
RIGHT_ANGLED = 1e-6  # cosines: axes this close to right angles stay as they are
DIGITS = 12  # of a cosine: ITK complains aloud of numbers too small to divide by

logger = logging.getLogger(__name__)


class PlacedImage(NamedTuple):
    """An image or a mask, and where it lies in the patient: what is read, turned and written.

    array: (X, Y, Z), any number type. spacing: mm per voxel along x, y, z. origin: mm, position of
    voxel (0, 0, 0). direction: 3x3 cosines, row-major, as in SimpleITK. modality: CT or MR, say,
    where the file says so.
    """

    array: NDArray[Any]
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    origin: tuple[float, ...] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY_DIRECTION
    modality: str = ""

    def affine(self) -> Affine:
        """Where its voxels lie, as one matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    def position(self, voxel: Sequence[float]) -> tuple[float, ...]:
        """Where a voxel lies, mm: the origin of a crop that starts there."""
        steps = np.multiply(voxel, self.spacing)
        place = np.asarray(self.origin) + np.reshape(self.direction, (3, 3)) @ steps
        return tuple(place.tolist())


def placed(array: NDArray[Any], affine: Affine, file: Path, source: str) -> PlacedImage:
    """An array (X, Y, Z) on the rectangular grid that an affine matrix describes.

    source: what in the file says so. Raises ValueError, naming the file, the source and the number,
    for what is not finite, voxels or places of absurd size, and axes that are not at right angles.
    """
    told = f"{file}: {source}"
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    check_spacing(spacing.tolist(), told)
    if not np.abs(affine[:3, 3]).max() <= FARTHEST:
        raise ValueError(f"{told} puts the scan at {affine[:3, 3].tolist()} mm; repair its origin")
    cosines = affine[:3, :3] / spacing
    if np.abs(cosines.T @ cosines - np.eye(3)).max() > RIGHT_ANGLED:
        left, _, right = np.linalg.svd(cosines)
        cosines = left @ right  # the nearest axes at right angles
    direction = np.round(cosines, DIGITS) + 0.0
    image = PlacedImage(
        array,
        tuple(spacing.tolist()),
        tuple(affine[:3, 3].tolist()),
        tuple(direction.ravel().tolist()),
    )
    moved = farthest(image.affine(), affine, array.shape)
    if moved > TOLERATED * spacing.min():
        raise ValueError(
            f"{told} gives axes that are not at right angles (a gantry tilt, or shear): a straight "
            f"grid would put voxels up to {moved:.2f} mm elsewhere; resample the scan first"
        )
    logger.info("%s: spacing, origin, direction %s, from %s", file, image[1:4], source)
    return image


def on_grid(image: PlacedImage, file: Path, source: str) -> PlacedImage:
    """An image that its own numbers place, as a header or a prepared file says them.

    Raises ValueError as `placed` does, for too few or too many numbers, and for directions that are
    no unit vectors.
    """
    told = f"{file}: {source}"
    for name, count in (("spacing", 3), ("origin", 3), ("direction", 9)):
        if len(values := getattr(image, name)) != count:
            raise ValueError(f"{told}: {name} = {list(values)}: allowed are {count} numbers")
    check_spacing(image.spacing, told)
    lengths = np.linalg.norm(np.reshape(image.direction, (3, 3)), axis=0)
    if not np.abs(lengths - 1).max() <= UNIT:
        raise ValueError(
            f"{told}: direction = {list(image.direction)}: allowed are three unit vectors; put "
            "what stretches them into the spacing"
        )
    return placed(image.array, image.affine(), file, source)


def check_spacing(spacing: Sequence[float], told: str) -> None:
    """Raise ValueError where a voxel's sides (mm) are zero, not finite or absurd."""
    least, most = SIDES
    if not all(least <= side <= most for side in spacing):
        raise ValueError(
            f"{told} gives voxels of {' x '.join(f'{side:g}' for side in spacing)} mm, allowed are "
            f"{least:g} to {most:g}; write the true spacing into the file"
        )


def farthest(one: Affine, other: Affine, shape: Sequence[int]) -> float:
    """How far apart two affine matrices put the same voxel of a scan at most, mm."""
    corners = np.array([[*index, 1] for index in product(*((0, side - 1) for side in shape))])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())
