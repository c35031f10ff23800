"""Losses against a complete label, shared by the methods."""

import torch
from torch import Tensor
from torch.nn import functional


def one_hot(label: Tensor, classes: int) -> Tensor:
    """(B, X, Y, Z) int64 class numbers -> (B, classes, X, Y, Z) float32."""
    return functional.one_hot(label, classes).movedim(-1, 1).float()


def most_probable(probability: Tensor) -> Tensor:
    """The class of the highest probability or logit: (B, C, X, Y, Z) -> (B, X, Y, Z) int64.

    Of two classes a comparison says the same as argmax, ties included; argmax is slow on a
    CPU where the channels lie last in memory.
    """
    if probability.shape[1] == 2:
        return (probability[:, 1] > probability[:, 0]).long()
    return probability.argmax(dim=1)


def foreground(logits: Tensor) -> Tensor:
    """softmax's class 1 in float32: logits (B, 2, X, Y, Z) -> (B, X, Y, Z) in [0, 1]."""
    return torch.softmax(logits.float(), dim=1)[:, 1]


def cross_entropy_map(logits: Tensor, label: Tensor, epsilon: float = 0.0) -> Tensor:
    """Cross-entropy of every voxel against (1 - epsilon) y + epsilon / C, y the one-hot label.

    logits (B, C, X, Y, Z), label (B, X, Y, Z) int64 -> (B, X, Y, Z).
    """
    return functional.cross_entropy(logits, label, reduction="none", label_smoothing=epsilon)


def squared_dice_loss(probability: Tensor, label: Tensor) -> Tensor:
    """1 - (2 sum p y + e) / (sum p^2 + sum y^2 + e), e = 1e-5, sums over the whole batch.

    probability: foreground, (B, X, Y, Z) in [0, 1]; label: (B, X, Y, Z), 0 or 1.
    """
    y = label.float()
    overlap = 2 * torch.sum(probability * y) + 1e-5
    return 1 - overlap / (torch.sum(probability**2) + torch.sum(y**2) + 1e-5)


def binary_dice_loss(probability: Tensor, label: Tensor, smooth: float = 1e-8) -> Tensor:
    """1 - (2 sum p y + e) / (sum p + sum y + e), e = smooth, sums over the whole batch.

    probability: foreground, (B, X, Y, Z) in [0, 1]; label: (B, X, Y, Z), 0 or 1. Or both of any
    one shape: SS-Net compares two softmax outputs over all classes.
    """
    y = label.float()
    overlap = 2 * torch.sum(probability * y) + smooth
    return 1 - overlap / (torch.sum(probability) + torch.sum(y) + smooth)
