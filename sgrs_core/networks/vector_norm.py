"""Batch norm of very many short vectors."""

import torch
from torch import Tensor, nn


class VectorNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` of (N, C), computed as (1, C, N): the same function, summed accurately.

    PyTorch's on a CPU adds up the rows of (N, C) in plain float32: of the two million voxels that a
    head sees on LA, a variance comes out wrong by 0.13%.
    """

    def forward(self, input: Tensor) -> Tensor:
        return torch.t(super().forward(input.t().contiguous()[None])[0])
