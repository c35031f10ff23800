"""Connected components of a batch's segmentations."""

import torch
from torch import Tensor

from sgrs_core.data.masks import Neighbours, largest_component


def largest_components(masks: Tensor, neighbours: Neighbours = 26) -> Tensor:
    """The largest component of each patch, (B, X, Y, Z) bool; computed on the CPU."""
    if len(masks) == 0:
        return masks
    kept = [torch.from_numpy(largest_component(m, neighbours)) for m in masks.cpu().numpy()]
    return torch.stack(kept).to(masks.device)
