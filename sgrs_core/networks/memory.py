"""A few vectors remembered for each class, in buffers, so that checkpoints keep them."""

import torch
from torch import Tensor, nn


class ClassMemory(nn.Module):
    """At most `size` vectors of `length` numbers for each of `classes` classes; empty at first."""

    vectors: Tensor  # (classes, size, length) float32, zero where unused
    count: Tensor  # (classes,) int64: how many are in use

    def __init__(self, classes: int, size: int, length: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(classes, size, length))
        self.register_buffer("count", torch.zeros(classes, dtype=torch.int64))

    @torch.no_grad()
    def store(self, c: int, vectors: Tensor) -> None:
        """Replace what is remembered of class c by (N, length), N at most `size`."""
        self.vectors[c] = 0
        self.vectors[c, : len(vectors)] = vectors
        self.count[c] = len(vectors)

    def recall(self, c: int) -> Tensor | None:
        """What is remembered of class c, (N, length), or None where that is nothing."""
        count = int(self.count[c])
        return self.vectors[c, :count] if count else None
