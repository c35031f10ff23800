"""The published way to load, update and predict, in our own words: what ours is measured against.

For each patch a whole scan is read from its h5 file and decompressed, turned, flipped and cropped
in numpy, one patch after the other. Networks work in eager float32 and contiguous memory,
optimisers go from parameter to parameter, and a scan is tested window by window, added up on the
CPU. Methods, losses and networks are this project's own, so that only the way differs.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer

from sgrs_core.data.batch import Batch
from sgrs_core.data.sampling import Sample
from sgrs_core.evaluation.inference import window_starts
from sgrs_core.experiment.settings import TrainingSettings, Triple
from sgrs_core.methods.base import Method


class Loader:
    """Draws the patches of a step from files, in the CPU's memory."""

    def __init__(
        self, labelled: Sequence[Path], unlabelled: Sequence[Path], settings: TrainingSettings
    ) -> None:
        self.labelled, self.unlabelled, self.settings = labelled, unlabelled, settings
        self.generator = np.random.default_rng(0)

    def draw(self, device: torch.device) -> Sample:
        """The patches of one step, moved to the device."""
        scans_l, images_l, labels_l = self.stream(self.labelled, self.settings.labelled_patches)
        _, images_u, labels_u = self.stream(self.unlabelled, self.settings.unlabelled_patches)
        batch = Batch(images_l.to(device), labels_l.to(device), images_u.to(device), scans_l)
        return Sample(batch, labels_u.to(device))

    def stream(
        self, files: Sequence[Path], patches: int
    ) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        """Numbers of the scans, images (B, 1, X, Y, Z) float32, labels (B, X, Y, Z) int64."""
        size = self.settings.patch
        if not files:
            return [], torch.empty(0, 1, *size), torch.empty(0, *size, dtype=torch.int64)
        scans = self.generator.integers(len(files), size=patches).tolist()
        pairs = [load_patch(files[scan], size, self.generator) for scan in scans]
        images = torch.stack([torch.from_numpy(image) for image, _ in pairs]).unsqueeze(1)
        return scans, images, torch.stack([torch.from_numpy(label).long() for _, label in pairs])


def load_patch(
    file: Path, size: Triple, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read a scan, turn and flip all of it, crop: image and label (*size)."""
    with h5py.File(file, "r") as opened:
        image, label = opened["image"][:], opened["label"][:]
    turns, axis = int(generator.integers(4)), int(generator.integers(2))
    image = np.flip(np.rot90(image, turns), axis).copy()
    label = np.flip(np.rot90(label, turns), axis).copy()
    sides = zip(image.shape, size, strict=True)
    corner = [int(generator.integers(side - length)) for side, length in sides]
    window = tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))
    return image[window].astype(np.float32), label[window].astype(np.uint8)


def plain(like: TrainingSettings, precision: str) -> TrainingSettings:
    """The same work as these settings ask for, done with nothing but the precision chosen."""
    return TrainingSettings(
        patch=like.patch,
        base_filters=like.base_filters,
        labelled_patches=like.labelled_patches,
        unlabelled_patches=like.unlabelled_patches,
        precision=precision,
        channels_last=False,
    )


def backends() -> AbstractContextManager[object]:
    """No search for the fastest convolution."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, allow_tf32=torch.backends.cudnn.allow_tf32
    )


def one_by_one(optimizers: Sequence[Optimizer]) -> None:
    """Let optimisers go from parameter to parameter."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.update(foreach=False, fused=False)


@torch.no_grad()
def foreground_score(
    method: Method, image: NDArray[np.float32], patch: Triple, stride: Triple, device: torch.device
) -> NDArray[np.float32]:
    """The mean foreground probability of all windows over a voxel; no side below the patch's."""
    total = np.zeros(image.shape, np.float32)
    count = np.zeros(image.shape, np.float32)
    for corner in product(*map(window_starts, image.shape, patch, stride)):
        window = tuple(slice(start, start + n) for start, n in zip(corner, patch, strict=True))
        images = torch.from_numpy(image[window].copy()[np.newaxis, np.newaxis]).to(device)
        total[window] += method.predict(images)[0].cpu().numpy()
        count[window] += 1
    return total / count
