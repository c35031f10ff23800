"""Remembered feature vectors, by class or by scan and class, in buffers that checkpoints keep.

A scan's entry can have a million vectors, of which a draw needs a few hundred. So an entry keeps a
random part of its vectors and their number: a draw's distribution is that of a draw from all.
"""

from typing import Any

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


class ScanMemory(nn.Module):
    """For each scan and class up to `capacity` vectors of `width` numbers, all in the state_dict.

    It grows with the scans: they are numbered from 0, and those never stored have no vectors.
    """

    vectors: Tensor  # (scans * classes, capacity, width)
    counts: Tensor  # (scans, classes) int64: how many vectors there were, kept or not

    def __init__(self, classes: int, capacity: int, width: int) -> None:
        super().__init__()
        self.classes, self.capacity = classes, capacity
        self.register_buffer("vectors", torch.zeros(0, capacity, width))
        self.register_buffer("counts", torch.zeros(0, classes, dtype=torch.int64))

    def choose(self, mask: Tensor) -> Tensor:
        """Where a mask (of n values, bool) is true: all places in order, or `capacity` random ones.

        Who stores an entry computes the vectors of these places only: (at most capacity,) int64.
        """
        places = mask.nonzero()[:, 0]
        if len(places) <= self.capacity:
            return places
        return places[sample_without_replacement(self.capacity, len(places)).to(places.device)]

    @torch.no_grad()
    def store(self, scan: int, label: int, vectors: Tensor, count: int) -> None:
        """Replace what was stored for a scan's class by `count` vectors, these (n, width) of them.

        n is the smaller of count and capacity.
        """
        self._resize(max(len(self.counts), scan + 1))
        self.counts[scan, label] = count
        row = self.vectors[scan * self.classes + label]
        row[: len(vectors)] = vectors
        row[len(vectors) :] = 0

    def sample(self, number: int) -> list[Tensor | None]:
        """For each class `number` vectors (number, width), drawn at random without replacement.

        All vectors of the class are equally likely, whatever their scan. None for a class with
        fewer. Raises ValueError where number > capacity, for that many might not have been kept.
        """
        if number > self.capacity:
            raise ValueError(f"number = {number}: allowed are at most capacity = {self.capacity}")
        return [self._draw(label, number) for label in range(self.classes)]

    def _draw(self, label: int, number: int) -> Tensor | None:
        counts = self.counts[:, label].cpu()
        ends, total = counts.cumsum(0), int(counts.sum())
        if total < number:
            return None
        positions = sample_without_replacement(number, total)  # in all scans' vectors, in a row
        scans = torch.searchsorted(ends, positions, right=True)
        places = positions - (ends - counts)[scans]
        for scan in scans.unique():
            if counts[scan] > self.capacity:  # a random part is kept: any of it will do
                mine = scans == scan
                places[mine] = torch.randperm(self.capacity)[: int(mine.sum())]
        rows = scans * self.classes + label
        return self.vectors[rows.to(self.vectors.device), places.to(self.vectors.device)]

    def _resize(self, scans: int) -> None:
        """Room for so many scans; what is stored stays."""
        missing = scans - len(self.counts)
        if missing > 0:
            more = self.vectors.new_zeros(missing * self.classes, *self.vectors.shape[1:])
            self.vectors = torch.cat([self.vectors, more])
            self.counts = torch.cat([self.counts, self.counts.new_zeros(missing, self.classes)])

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Take a state of any number of scans."""
        if f"{prefix}counts" in state_dict:
            scans = len(state_dict[f"{prefix}counts"])
            self.vectors, self.counts = self.vectors[:0], self.counts[:0]
            self._resize(scans)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def sample_without_replacement(number: int, total: int) -> Tensor:
    """`number` different whole numbers below `total`, any of them as likely: (number,) int64.

    Far below `total` it does not shuffle them all. number <= total.
    """
    if total <= 16 * number:
        return torch.randperm(total)[:number]
    drawn = torch.randint(total, (2 * number,)).unique()
    while len(drawn) < number:
        drawn = torch.randint(total, (2 * number,)).unique()
    return drawn[torch.randperm(len(drawn))[:number]]
