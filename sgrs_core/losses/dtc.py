"""DTC's distance maps: from a mask to the target of the distance head, and back to a mask.

Symbols: y the mask, S its signed distance map, d a predicted one, k the slope of the way back.
Source: Luo et al., AAAI 2021, and its authors' public code (HiLab-git/DTC).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor


def signed_distance(label: Tensor) -> Tensor:
    """S of each patch: (B, X, Y, Z), 0 or 1 -> (B, X, Y, Z) float32 in [-1, 1], without gradient.

    Distances are counted inside the patch, whose border is no boundary. A patch without foreground
    is 0 everywhere, as in the public code. Raises ValueError, naming the patch, where one has no
    background: no distance inside it is defined.
    """
    masks = label.detach().cpu().numpy() == 1
    for number, mask in enumerate(masks, 1):
        if mask.all():
            raise ValueError(
                f"labelled patch {number} of {len(masks)} has no background voxel, so distances "
                "inside it are undefined; take a larger patch"
            )
    distances = np.stack([_signed_distance(mask) for mask in masks])
    return torch.from_numpy(distances.astype(np.float32)).to(label.device)


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Outside: distance to the foreground, inside: minus the distance to the background.

    Each over its own maximum; 0 on the inner boundary, the foreground voxels with a background
    voxel behind one of their six faces.
    """
    if not mask.any():
        return np.zeros(mask.shape)
    outside = ndimage.distance_transform_edt(~mask)
    inside = ndimage.distance_transform_edt(mask)
    distance: NDArray[np.float64] = outside / outside.max() - inside / inside.max()
    distance[inside == 1] = 0
    return distance


def distance_to_mask(distance: Tensor, slope: float) -> Tensor:
    """sigmoid(-k d), a mask in [0, 1]: near 1 where d < 0, near 0 where d > 0; any shape.

    With k = 1500 a voxel's distance is far out on the sigmoid's flat ends, so gradient reaches d
    only where |d| is below about 0.005.
    """
    return torch.sigmoid(-slope * distance)
