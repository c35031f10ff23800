"""Co-BioNet's losses, all of them cross-entropies of probabilities.

Source: Peiris et al., "Uncertainty-guided dual-views for semi-supervised volumetric medical image
segmentation", Nature Machine Intelligence 2023, in the form that its public code
(himashi92/Co-BioNet) computes.

Throughout, p, q are probabilities of the foreground, (B, X, Y, Z) in [0, 1]; losses are scalars.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sgrs_core.losses.common import binary_dice_loss


def probability_cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """-(q log p + (1 - q) log(1 - p)) of every voxel, each logarithm at least -100: (B, X, Y, Z).

    In float32, where p = sigmoid(x) is exactly 1 from about x = 16.6: there x gets no gradient,
    unlike from the usual cross-entropy of logits. NaN where p or q is. Raises RuntimeError outside
    [0, 1].
    """
    lost = p.isnan() | q.isnan()  # which PyTorch refuses, on a GPU by ending the process
    p, q = (values.float().masked_fill(lost, 0.5) for values in (p, q))
    with torch.autocast(p.device.type, enabled=False):
        loss = functional.binary_cross_entropy(p, q, reduction="none")
    return loss.masked_fill(lost, torch.nan)


def supervised_loss(p: Tensor, label: Tensor) -> Tensor:
    """L_sup without lambda: cross-entropy + Dice loss (smoothed by 1e-5); label: int64, 0 or 1."""
    return probability_cross_entropy(p, label).mean() + binary_dice_loss(p, label, smooth=1e-5)


def difference_loss(p: Tensor, other: Tensor) -> Tensor:
    """L_dif: cross-entropy of p, kept within [1e-8, 1 - 1e-7], against the other's output."""
    return probability_cross_entropy(p.clamp(1e-8, 1 - 1e-7), other.detach()).mean()


def scalar_masked_loss(p: Tensor, other: Tensor, trusted: Tensor) -> Tensor:
    """L_mask as released: the cross-entropy's mean times the trusted share kappa of the voxels.

    trusted: (B, X, Y, Z) bool, where the other network's output is to be believed.
    """
    return trusted.float().mean() * probability_cross_entropy(p, other.detach()).mean()


def voxel_masked_loss(p: Tensor, other: Tensor, trusted: Tensor) -> Tensor:
    """L_mask as described: the cross-entropy on trusted voxels, averaged over all voxels."""
    return (trusted * probability_cross_entropy(p, other.detach())).mean()


def generator_loss(on_outputs: Tensor) -> Tensor:
    """L_gen: the critic's probability (B, X, Y, Z) that outputs are labels should be 1."""
    return probability_cross_entropy(on_outputs, torch.ones_like(on_outputs)).mean()


def critic_loss(on_labels: Tensor, on_outputs: Tensor) -> Tensor:
    """L_crit: the critic's probability should be 1 on labels, 0 on outputs; the mean of both."""
    outputs = probability_cross_entropy(on_outputs, torch.zeros_like(on_outputs)).mean()
    return 0.5 * (generator_loss(on_labels) + outputs)
