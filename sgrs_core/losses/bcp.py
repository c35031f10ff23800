"""BCP's loss: Dice and cross-entropy on the two sides of a box, each against its own label.

Source: Bai et al., "Bidirectional Copy-Paste for Semi-Supervised Medical Image Segmentation",
CVPR 2023, in the form that its public code (DeepMed-Lab-ECNU/BCP) computes.

Symbols: i voxels, p the softmax probability, y the one-hot label, m the region, M the region
outside the box. Throughout, `logits` and `probability` are (B, C, X, Y, Z) float32, `label`
(B, X, Y, Z) int64, and a region is bool, true inside it, of a shape that broadcasts to the label's.
"""

import torch
from torch import Tensor

from sgrs_core.losses.common import cross_entropy_map, one_hot


def region_dice(probability: Tensor, label: Tensor, region: Tensor) -> Tensor:
    """Dice_m = 1 - mean of (2 sum_i m p y + s) / (sum_i m p + sum_i m y + s), s = 1e-5: in [0, 1].

    Sums over the voxels of one patch and class; the mean is over both, background included. A
    region without voxels gives 0.
    """
    m = region.expand_as(label).unsqueeze(1).float()
    y = one_hot(label, probability.shape[1])
    voxels = (2, 3, 4)
    overlap = 2 * torch.sum(m * probability * y, voxels) + 1e-5
    size = torch.sum(m * probability, voxels) + torch.sum(m * y, voxels) + 1e-5
    return 1 - torch.mean(overlap / size)


def region_cross_entropy(logits: Tensor, label: Tensor, region: Tensor) -> Tensor:
    """CE_m: the mean over the region's voxels in the whole batch; 0 where it has none."""
    m = region.expand_as(label).float()
    return torch.sum(m * cross_entropy_map(logits, label)) / (m.sum() + 1e-16)


def region_loss(logits: Tensor, label: Tensor, region: Tensor) -> Tensor:
    """1/2 (Dice_m + CE_m): a scalar."""
    dice = region_dice(torch.softmax(logits, dim=1), label, region)
    return 0.5 * (dice + region_cross_entropy(logits, label, region))


def mixed_loss(
    logits: Tensor, outer: Tensor, inner: Tensor, outside: Tensor, outer_weight: float,
    inner_weight: float,
) -> Tensor:  # fmt: skip
    """The loss of a mixed patch: each side of the box against the label it came with.

    outer, inner: the labels of what lies outside and inside the box. outside: M, (X, Y, Z). Each
    side's Dice is its own, so a side counts fully, whatever its share of the voxels.
    """
    outer_loss = region_loss(logits, outer, outside)
    return outer_weight * outer_loss + inner_weight * region_loss(logits, inner, ~outside)
