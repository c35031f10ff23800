"""MC-Net+'s losses: sharpening, and the mutual consistency of several outputs.

Source: Wu et al., "Mutual consistency learning for semi-supervised medical image segmentation",
Medical Image Analysis 2022, in the form that its public code (ycwu1997/MC-Net) computes.
"""

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor


def sharpen(probability: Tensor, temperature: float) -> Tensor:
    """s(p) = p^(1/T) / (p^(1/T) + (1 - p)^(1/T)), value by value: p in [0, 1] of any shape.

    T = 1 leaves p as it is, T -> 0 rounds it. With two classes the channels still sum to 1. The
    result and its gradient are finite in float32 for T from 0.01.
    """
    power = 1 / temperature
    mine, others = probability**power, (1 - probability) ** power
    return mine / (mine + others)


def mutual_consistency(
    probabilities: Sequence[Tensor], temperature: float, gradient_through_targets: bool
) -> Tensor:
    """L_cons = sum over ordered pairs i != j of mean((p_i - s(p_j))^2): a scalar, 0 or more.

    probabilities: one (B, C, X, Y, Z) in [0, 1] for each decoder; the mean is over patches, classes
    and voxels. Without `gradient_through_targets`, s(p_j) is a constant in the backward pass.
    """
    targets = [sharpen(probability, temperature) for probability in probabilities]
    if not gradient_through_targets:
        targets = [target.detach() for target in targets]
    pairs = permutations(range(len(probabilities)), 2)
    return torch.stack([(probabilities[i] - targets[j]).square().mean() for i, j in pairs]).sum()
