"""Connected components of a segmentation."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

Neighbours = Literal[18, 26]
REACH: dict[Neighbours, int] = {18: 2, 26: 3}  # how many coordinates of neighbours may differ


def largest_component(mask: NDArray[np.bool_], neighbours: Neighbours = 26) -> NDArray[np.bool_]:
    """The largest group of connected true voxels, (X, Y, Z) bool; nothing where there is none.

    neighbours: a voxel's neighbours share a face or an edge with it (18), or also a corner (26).
    Of several equally large groups, the one that comes first in the array's order.
    """
    structure = ndimage.generate_binary_structure(3, REACH[neighbours])
    groups, count = ndimage.label(mask, structure)
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(groups.ravel())[1:]
    largest: NDArray[np.bool_] = groups == 1 + int(sizes.argmax())
    return largest


def largest_components(masks: Tensor, neighbours: Neighbours = 26) -> Tensor:
    """The largest component of each patch, (B, X, Y, Z) bool; computed on the CPU."""
    if len(masks) == 0:
        return masks
    kept = [torch.from_numpy(largest_component(m, neighbours)) for m in masks.cpu().numpy()]
    return torch.stack(kept).to(masks.device)
