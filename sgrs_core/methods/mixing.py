"""Copy-paste: a random box, one patch's voxels outside it and another's inside."""

import torch
from torch import Tensor

from sgrs_core.experiment.settings import Triple


def pairing(patches: int) -> tuple[list[int], list[int]]:
    """Which patches are A (and U_A), and which B (and U_B): the first and the second half.

    Halves of two patches would leave batch norm a batch of one, so of fewer than four patches, and
    of odd numbers, all are A and, in reverse order, all are B.
    """
    everyone = list(range(patches))
    if patches < 4 or patches % 2:
        return everyone, everyone[::-1]
    return everyone[: patches // 2], everyone[patches // 2 :]


def paste(outer: Tensor, inner: Tensor, outside: Tensor) -> Tensor:
    """outer M + inner (1 - M): images or labels (..., X, Y, Z), outside = M (X, Y, Z) bool."""
    return torch.where(outside, outer, inner)


def random_box(like: Tensor, share: float) -> Tensor:
    """M of a box at a random place, its sides int(share side): see `outside_box`.

    A corner's last position is never drawn, as in the public code of BCP: the box does not touch
    the far faces. share: between 0 and 1.
    """
    sides = like.shape[-3:]
    lx, ly, lz = (int(side * share) for side in sides)
    ranges = zip(sides, (lx, ly, lz), strict=True)
    x, y, z = (int(torch.randint(side - length, ())) for side, length in ranges)
    return outside_box((x, y, z), (lx, ly, lz), like)


def outside_box(corner: Triple, lengths: Triple, like: Tensor) -> Tensor:
    """M: (X, Y, Z) bool of the last three sides of `like`, on its device; false inside the box."""
    outside = torch.ones(like.shape[-3:], dtype=torch.bool, device=like.device)
    x, y, z = (slice(c, c + length) for c, length in zip(corner, lengths, strict=True))
    outside[x, y, z] = False
    return outside
