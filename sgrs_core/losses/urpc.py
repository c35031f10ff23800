"""URPC's losses: supervision at each scale, and consistency of the scales with their mean.

Symbols: k = 1..K scales, c = 1..C classes, v voxels of all patches, p_k the softmax probability of
scale k, m the mean of all p_k, D_k the divergence of scale k (its "uncertainty"), w_k = exp(-D_k).
Throughout, `logits` are (B, C, X, Y, Z) float32 and `log_p`, `log_m` logarithms of probabilities in
the same shape.

Source: Luo et al., MICCAI 2021 and Medical Image Analysis 2022, as the authors' public code
(HiLab-git/SSL4MIS) computes it. `released` chooses between that and the papers' form.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sgrs_core.losses.common import squared_dice_loss


def class_mean_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Squared Dice loss averaged over all classes, background included: a scalar in [0, 1].

    label: (B, X, Y, Z) int64, class numbers below C.
    """
    probability = torch.softmax(logits, dim=1)
    return torch.stack(
        [squared_dice_loss(p, label == c) for c, p in enumerate(probability.unbind(dim=1))]
    ).mean()


def log_mean(log_p: Sequence[Tensor]) -> Tensor:
    """log m from log p_1, ..., log p_K; finite even where every p_k underflows."""
    return torch.logsumexp(torch.stack(list(log_p)), dim=0) - math.log(len(log_p))


def divergence(log_m: Tensor, log_p: Tensor, released: bool = True) -> Tensor:
    """D of one scale: (B, X, Y, Z), at least 0.

    Released: KL(m || p) = sum_c m (log m - log p). Paper: KL(p || m) = sum_c p (log p - log m).
    """
    difference = log_m - log_p
    if released:
        return torch.sum(log_m.exp() * difference, dim=1)
    return torch.sum(-log_p.exp() * difference, dim=1)


def squared_distance(log_m: Tensor, log_p: Tensor, released: bool = True) -> Tensor:
    """(m - p)^2: (B, X, Y, Z) in [0, 2]. Released: mean over the classes. Paper: their sum."""
    square = (log_m.exp() - log_p.exp()) ** 2
    return square.mean(dim=1) if released else square.sum(dim=1)


def rectified(distance: Tensor, divergence: Tensor) -> Tensor:
    """mean_v w (m - p)^2 / (mean_v w + 1e-8), w = exp(-D): a scalar.

    One mean over all patches; w is not detached, above or below.
    """
    weight = torch.exp(-divergence)
    return (weight * distance).mean() / (weight.mean() + 1e-8)


def minimised_uncertainty(divergence: Tensor, released: bool = True) -> Tensor:
    """How uncertain a scale is: a scalar. Released: mean_v D. Paper: the Euclidean norm of D."""
    return divergence.mean() if released else torch.linalg.vector_norm(divergence)
