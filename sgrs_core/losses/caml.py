"""CAML's omni-correlation: two networks must describe a voxel by the same remembered vectors.

Source: Gao et al., "Correlation-aware mutual learning for semi-supervised medical image
segmentation", MICCAI 2023, in the form that its public code computes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def correlation(vectors: Tensor, memory: Tensor, temperature: float) -> Tensor:
    """softmax(f m^T / T): vectors (n, width), memory (m, width) -> (n, m), rows sum to 1."""
    return torch.softmax(vectors @ memory.T / temperature, dim=1)


def most_confident(confidence: Tensor, label: Tensor, classes: int, number: int) -> Tensor:
    """The `number` most confident voxels of each class: their indices, class 0 first, (k,) int64.

    confidence: (n,); label: (n,) int64. A class with fewer gives all it has; a single one, none.
    Within a class confidence falls. Which of equally confident voxels are taken is arbitrary;
    `argsort`, unlike `topk`, takes those that the public code takes.
    """
    chosen = [label.new_zeros(0)]
    for c in range(classes):
        mine = (label == c).nonzero()[:, 0]
        if len(mine) >= 2:
            chosen.append(mine[confidence[mine].argsort(descending=True)[:number]])
    return torch.cat(chosen)


def correlations(
    vectors: Sequence[Tensor], memories: Sequence[Tensor | None], temperature: float
) -> list[Tensor]:
    """A of each network: the correlation of its vectors (n, width) with all memories present.

    memories: for each class (m, width) or None; stacked, class 0 first. Without any memory, or
    without vectors, each A is (0, 0).
    """
    present = [memory for memory in memories if memory is not None]
    if not present or not len(vectors[0]):
        return [each.new_zeros(0, 0) for each in vectors]
    return [correlation(each, torch.cat(present), temperature) for each in vectors]


def omni_correlation(vanilla: Tensor, auxiliary: Tensor) -> Tensor:
    """L_o = -mean over rows of sum_m A_a log(A_v + 1e-8): a scalar from 0 to -log 1e-8 = 18.4.

    Both (n, m), rows summing to 1; the gradient flows into both. Without rows, 0.
    """
    if not len(vanilla):
        return vanilla.new_zeros(())
    return -(auxiliary * torch.log(vanilla + 1e-8)).sum(dim=1).mean()
