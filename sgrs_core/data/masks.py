"""Masks of scans, and between which planes their voxels lie."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def extent(mask: Mask, axis: int, margin: int = 0) -> slice:
    """From the first to the last voxel along an axis, with a margin where the array has one.

    Raises ValueError where the mask holds no voxel.
    """
    others = tuple(one for one in range(mask.ndim) if one != axis)
    filled = np.flatnonzero(mask.any(axis=others))
    if not filled.size:
        raise ValueError("a mask without a voxel has no extent")
    return slice(max(0, int(filled[0]) - margin), int(filled[-1]) + 1 + margin)


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of a mask; raises ValueError where there is none."""
    return tuple(extent(mask, axis) for axis in range(mask.ndim))
