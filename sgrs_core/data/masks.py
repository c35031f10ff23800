"""Masks of scans: between which planes their voxels lie, and their connected components."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Neighbours = Literal[18, 26]
REACH: dict[Neighbours, int] = {18: 2, 26: 3}  # how many coordinates of neighbours may differ


def extent(mask: Mask, axis: int, margin: int = 0, name: str = "the mask") -> slice:
    """From the first to the last voxel along an axis, with a margin where the array has one.

    Raises ValueError, with the mask's name, where it holds no voxel.
    """
    others = tuple(one for one in range(mask.ndim) if one != axis)
    filled = np.flatnonzero(mask.any(axis=others))
    if not filled.size:
        raise ValueError(
            f"{name} is zero everywhere, so there is nothing to crop around; "
            "check that it is the right file, or exclude the scan"
        )
    return slice(max(0, int(filled[0]) - margin), int(filled[-1]) + 1 + margin)


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of a mask; raises ValueError where there is none."""
    return tuple(extent(mask, axis) for axis in range(mask.ndim))


def largest_component(mask: Mask, neighbours: Neighbours = 26) -> Mask:
    """The largest group of connected true voxels, (X, Y, Z) bool; nothing where there is none.

    neighbours: a voxel's neighbours share a face or an edge with it (18), or also a corner (26).
    Of several equally large groups, the one that comes first in the array's order.
    """
    structure = ndimage.generate_binary_structure(3, REACH[neighbours])
    groups, count = ndimage.label(mask, structure)
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(groups.ravel())[1:]
    largest: Mask = groups == 1 + int(sizes.argmax())
    return largest
