"""Virtual adversarial training, SS-Net's smoothness of single voxels.

The perturbation of fixed length that changes a network's output the most, found by one step of the
power iteration, should not change it.

Sources: Miyato et al., "Virtual Adversarial Training", TPAMI 2019; with the Dice loss as distance,
Wu et al. (SS-Net), MICCAI 2022, the part on pixel-level smoothness.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sgrs_core.losses.segmentation import binary_dice_loss


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
