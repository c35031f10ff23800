"""SS-Net's losses: smoothness of single voxels, and separation of classes.

Smoothness: the perturbation of fixed length that changes a network's output the most, found by one
step of the power iteration, should not change it. Separation: weighted cosine distances between
features and a memory.

Sources: Wu et al. (SS-Net), "Exploring Smoothness and Class-Separation for Semi-supervised Medical
Image Segmentation", MICCAI 2022; Miyato et al., "Virtual Adversarial Training", TPAMI 2019.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from sgrs_core.losses.common import binary_dice_loss


def adversarial_dice_loss(
    network: nn.Module, images: Tensor, start: Tensor, xi: float, epsilon: float
) -> Tensor:
    """Dice loss between p = f(x) and f(x + epsilon d), d the direction that moves p the most.

    d starts as the unit vector along `start` and becomes the unit gradient of the Dice loss between
    p and f(x + xi d). p carries no gradient, and batch norm's running statistics learn from x only.
    images, start: (B, 1, X, Y, Z) float32. network: images -> logits (B, C, X, Y, Z).
    """
    with torch.no_grad():
        reference = softmax_output(network, images)
    with untracked_statistics(network):
        probe = unit(start).requires_grad_()
        moved = binary_dice_loss(softmax_output(network, images + xi * probe), reference)
        (gradient,) = torch.autograd.grad(moved, probe)
        return binary_dice_loss(
            softmax_output(network, images + epsilon * unit(gradient)), reference
        )


def unit(directions: Tensor) -> Tensor:
    """Each sample of (B, ...) divided by its Euclidean norm + 1e-8, detached."""
    directions = directions.detach()
    norms = directions.flatten(1).norm(dim=1)
    return directions / (norms.view(-1, *[1] * (directions.dim() - 1)) + 1e-8)


def softmax_output(network: nn.Module, images: Tensor) -> Tensor:
    """The network's class probabilities in float32, (B, C, X, Y, Z)."""
    return torch.softmax(network(images).float(), dim=1)


@contextmanager
def untracked_statistics(network: nn.Module) -> Iterator[None]:
    """In train mode, batch norms use the batch's statistics and leave their running ones alone."""
    tracking = [
        norm
        for norm in network.modules()
        if isinstance(norm, _BatchNorm) and norm.track_running_stats
    ]
    for norm in tracking:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True


def cosine_distances(features: Tensor, memory: Tensor) -> Tensor:
    """1 - cos(f_i, m_j) in [0, 2]: (N, D) and (M, D) -> (N, M), in float32 whatever the precision.

    Autocast would otherwise round the matrix product.
    """
    with torch.autocast(features.device.type, enabled=False):
        f = functional.normalize(features.float(), dim=1)
        m = functional.normalize(memory.float(), dim=1)
        return 1 - f @ m.T


def rescaled(scores: Tensor) -> Tensor:
    """Weights of mean 1 in proportion to the scores: (N,) positive -> (N,)."""
    return len(scores) / scores.sum() * scores


def weighted_mean_distance(distances: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """mean_ij a_i b_j d_ij: distances (N, M), row weights a (N,), column weights b (M,)."""
    return ((rows.unsqueeze(1) * distances).mean(dim=0) * columns).mean()
