"""MCF's losses: where two networks differ, what the better one teaches, and how it is learnt.

Source: Wang et al., "MCF: Mutual correction framework for semi-supervised medical image
segmentation", CVPR 2023, in the form that its public code (WYC-321/MCF) computes.
"""

import torch
from torch import Tensor

from sgrs_core.losses.common import most_probable


def difference_region(first: Tensor, second: Tensor) -> Tensor:
    """D: the voxels where two networks' most probable classes differ; it carries no gradient.

    first, second: logits or probabilities, (B, C, X, Y, Z) -> (B, X, Y, Z) bool.
    """
    return most_probable(first) != most_probable(second)


def rectification(probability: Tensor, label: Tensor, region: Tensor) -> Tensor:
    """L_rect = sum_D (p - y)^2 / |D|: a scalar in [0, 1], 0 where D is empty.

    probability: foreground, (B, X, Y, Z) in [0, 1]; label: (B, X, Y, Z), 0 or 1; region: D,
    (B, X, Y, Z) bool. D is counted over the whole batch.
    """
    error = (probability - label.float()).square() * region
    return error.sum() / (region.sum() + 1e-16)


def sharpened_softmax(logits: Tensor, temperature: float) -> Tensor:
    """t_c = p_c^(1/T) / sum_c' p_c'^(1/T) with p = softmax(logits): (B, C, X, Y, Z), sums to 1.

    Computed as the equal softmax(logits / T), in which no power can underflow in all classes.
    """
    return torch.softmax(logits / temperature, dim=1)


def squared_difference(probability: Tensor, target: Tensor) -> Tensor:
    """L_cons: the mean of (p - t)^2 over patches, classes and voxels.

    probability, target: (B, C, X, Y, Z) in [0, 1]. The public code calls it a softmax loss but
    applies no further softmax.
    """
    return (probability - target).square().mean()
