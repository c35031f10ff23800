"""Sliding-window inference: a whole scan through a network that takes patches."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sgrs_core.experiment.settings import Triple, check_stride

Predict = Callable[[Tensor], Tensor]
Watch = Callable[[Iterable[int]], Iterable[int]]  # hands steps on and shows them, as tqdm does


@torch.no_grad()
def foreground_score(
    predict: Predict,
    image: NDArray[np.float32],
    patch: Triple,
    stride: Triple,
    batch: int = 4,
    device: torch.device | str = "cpu",
    watch: Watch = iter,
) -> NDArray[np.float32]:
    """The mean foreground probability of all windows that cover a voxel.

    predict: (B, 1, *patch) float32 -> (B, *patch) in [0, 1]. image: (X, Y, Z). A side smaller than
    the patch is padded with zeros for the time of the computation. watch: is handed the batches of
    windows. Returns (X, Y, Z) in [0, 1].
    Raises ValueError where the stride is wider than the patch.
    """
    check_stride("stride", stride, patch)
    padded, inner = pad_to(torch.as_tensor(image, device=device), patch)
    total = torch.zeros_like(padded, dtype=torch.float32)
    count = torch.zeros_like(total)
    windows = list(product(*map(window_starts, padded.shape, patch, stride)))
    for first in watch(range(0, len(windows), batch)):
        slices = [
            tuple(slice(start, start + side) for start, side in zip(corner, patch, strict=True))
            for corner in windows[first : first + batch]
        ]
        scores = predict(torch.stack([padded[window] for window in slices]).unsqueeze(1))
        for window, score in zip(slices, scores, strict=True):
            total[window] += score
            count[window] += 1
    return (total / count)[inner].cpu().numpy()


def segment(score: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The published rule: foreground where the mean probability is above 0.5."""
    return score > 0.5


def window_starts(side: int, patch: int, stride: int) -> list[int]:
    """Where windows start along one axis: every `stride` voxels, the last one at the border."""
    steps = -(-(side - patch) // stride)  # ceiling division
    return [min(stride * step, side - patch) for step in range(steps + 1)]


def pad_to(image: Tensor, patch: Sequence[int]) -> tuple[Tensor, tuple[slice, ...]]:
    """Zero-pad to at least the patch's size, left = pad // 2; also where the image lies in it."""
    ends: list[int] = []
    inner: list[slice] = []
    for side, length in zip(image.shape, patch, strict=True):
        missing = max(length - side, 0)
        left = missing // 2
        ends = [left, missing - left, *ends]  # `pad` takes the last axis first
        inner.append(slice(left, left + side))
    return functional.pad(image, ends), tuple(inner)
