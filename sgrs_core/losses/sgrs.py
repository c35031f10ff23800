"""SGRS-Net's losses on one region of a patch (paper eq. 10-18), and the forms the authors ran.

Symbols, as in the paper: i voxels, j classes, p the softmax probability, y the one-hot label.
Throughout, `logits` and `probability` are (B, C, X, Y, Z) float32, `label` (B, X, Y, Z) int64 and
`mask` (B, X, Y, Z) bool, true inside the region. Each function returns a scalar.

A function named `released_...` computes what the authors' public code (ortonwang/SGRS-Net) does
where that differs from the printed equation; its docstring says how.
"""

import torch
from torch import Tensor

from sgrs_core.losses.common import cross_entropy_map, one_hot


def partial_cross_entropy(
    logits: Tensor, label: Tensor, mask: Tensor, epsilon: float = 0.0
) -> Tensor:
    """L_pce, eq. 10, and with epsilon > 0 its label-smoothed, noise-robust form, eq. 15.

    Cross-entropy inside the region, averaged over all voxels of the patches. The equation prints
    the sum, which is this times the number of voxels: difference 13.
    """
    return (cross_entropy_map(logits, label, epsilon) * mask).mean()


def partial_dice(probability: Tensor, label: Tensor, mask: Tensor, eta: float = 0.0) -> Tensor:
    """L_pdc, eq. 11, and with eta > 0 its noise-robust form, eq. 16.

    1 - 2 sum_ij p y / (sum_ij p^2 + sum_ij y^2 + eta), summed over batch, region and classes.
    A region without voxels contributes 0.
    """
    m = mask.unsqueeze(1).float()
    y = one_hot(label, probability.shape[1])
    overlap = 2 * torch.sum(m * probability * y)
    size = torch.sum(m * probability**2) + torch.sum(m * y**2)
    # In an empty region size = 0: dividing by 1 instead keeps the unused branch free of NaN.
    loss = 1 - overlap / torch.where(size > 0, size + eta, 1.0)
    return torch.where(size > 0, loss, 0.0)


def released_labelled_dice(probability: Tensor, label: Tensor) -> Tensor:
    """Difference 1: per class, then averaged, and without eq. 11's factor 2 (its minimum is 0.5).

    1 - sum_i p y / (sum_i p^2 + sum_i y^2 + 1e-10), sums over batch and voxels.
    """
    y = one_hot(label, probability.shape[1])
    over_voxels = (0, 2, 3, 4)
    overlap = torch.sum(probability * y, over_voxels)
    size = torch.sum(probability**2, over_voxels) + torch.sum(y**2, over_voxels)
    return torch.mean(1 - overlap / (size + 1e-10))


def released_partial_dice(
    probability: Tensor, label: Tensor, mask: Tensor, smooth: float
) -> Tensor:
    """Differences 2 (smooth = 1) and 3 (smooth = eta): per sample and class, then averaged.

    1 - (2 tp + smooth) / (2 tp + fp + fn + smooth + 1e-8), soft counts inside the region.
    """
    m = mask.unsqueeze(1).float()
    y = one_hot(label, probability.shape[1])
    over_voxels = (2, 3, 4)
    tp = torch.sum(m * probability * y, over_voxels)
    fp = torch.sum(m * probability * (1 - y), over_voxels)
    fn = torch.sum(m * (1 - probability) * y, over_voxels)
    return torch.mean(1 - (2 * tp + smooth) / (2 * tp + fp + fn + smooth + 1e-8))


def released_noise_robust_cross_entropy(
    logits: Tensor, label: Tensor, mask: Tensor, epsilon: float
) -> Tensor:
    """Difference 5: each sample's smoothed cross-entropy is masked by every sample's region.

    The code multiplies (B, X, Y, Z) with (B, 1, X, Y, Z) and averages the (B, B, X, Y, Z) result;
    the mean over all pairs is the product of the two means over the batch.
    """
    loss = cross_entropy_map(logits, label, epsilon)
    return (loss.mean(0) * mask.float().mean(0)).mean()
