"""Which patches a step sees: a pure function of the seed and the iteration.

Nothing here has a state, so a resumed run draws exactly what an uninterrupted one would have.
Two streams, labelled and unlabelled scans, each an endless row of random permutations: a scan comes
again only after all others of its stream have been drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sgrs_core.data.volumes import Volume
from sgrs_core.methods.method import Batch
from sgrs_core.settings import TrainingSettings, Triple

LABELLED, UNLABELLED, GEOMETRY = 0, 1, 2  # independent streams of random numbers


class Sample(NamedTuple):
    """A method's batch, and what it may not see: labels_u (U, X, Y, Z) int64, for diagnostics."""

    batch: Batch
    labels_u: Tensor


@dataclass(frozen=True)
class Scan:
    """A scan on the training device: image (X, Y, Z) float32, label (X, Y, Z) uint8."""

    image: Tensor
    label: Tensor


class TwoStreamSampler:
    """Draws labelled and unlabelled patches, augmented, from scans held in memory."""

    def __init__(
        self,
        labelled: Sequence[Volume],
        unlabelled: Sequence[Volume],
        run: TrainingSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.run, self.seed = run, seed
        self.labelled = [load(volume, run.patch, device) for volume in labelled]
        self.unlabelled = [load(volume, run.patch, device) for volume in unlabelled]
        self.nothing = torch.empty((0, *run.patch), device=device)

    def draw(self, iteration: int) -> Sample:
        """The patches of one iteration (counted from 1)."""
        run = self.run
        generator = np.random.default_rng([self.seed, GEOMETRY, iteration])
        indices_l = self.indices(LABELLED, len(self.labelled), run.labelled_patches, iteration)
        indices_u = self.indices(
            UNLABELLED, len(self.unlabelled), run.unlabelled_patches, iteration
        )
        patches_l = [self.patch(self.labelled[i], generator) for i in indices_l]
        patches_u = [self.patch(self.unlabelled[i], generator) for i in indices_u]
        images_l, labels_l = self.stack(patches_l)
        images_u, labels_u = self.stack(patches_u)
        return Sample(Batch(images_l, labels_l, images_u, indices_l), labels_u)

    def indices(self, stream: int, scans: int, per_step: int, iteration: int) -> list[int]:
        """The scans of one stream at one iteration; none where the stream has no scans."""
        if scans == 0:
            return []
        first = (iteration - 1) * per_step
        chosen = []
        for position in range(first, first + per_step):
            epoch, place = divmod(position, scans)
            order = np.random.default_rng([self.seed, stream, epoch]).permutation(scans)
            chosen.append(int(order[place]))
        return chosen

    def patch(self, scan: Scan, generator: np.random.Generator) -> Scan:
        """A random crop, rotated and flipped if the run says so.

        Cropping first and turning the patch costs less than turning the scan, and is the same but
        for which of a side's two ends the half-open range of corners leaves out.
        """
        turns = flipped_axis = 0
        size = self.run.patch
        if self.run.augmentation == "rotate_flip":
            turns, flipped_axis = int(generator.integers(4)), int(generator.integers(2))
            if turns % 2:
                size = (size[1], size[0], size[2])
        sides = zip(scan.image.shape, size, strict=True)
        corner = [int(generator.integers(side - length)) for side, length in sides]
        window = tuple(slice(c, c + length) for c, length in zip(corner, size, strict=True))
        image, label = scan.image[window], scan.label[window]
        if self.run.augmentation == "rotate_flip":
            image = image.rot90(turns, (0, 1)).flip(flipped_axis)
            label = label.rot90(turns, (0, 1)).flip(flipped_axis)
        return Scan(image, label)

    def stack(self, patches: Sequence[Scan]) -> tuple[Tensor, Tensor]:
        """Images (B, 1, X, Y, Z) float32 and labels (B, X, Y, Z) int64; B may be 0."""
        if not patches:
            return self.nothing.unsqueeze(1), self.nothing.long()
        images = torch.stack([patch.image for patch in patches]).unsqueeze(1)
        return images, torch.stack([patch.label for patch in patches]).long()


def load(volume: Volume, patch: Triple, device: torch.device) -> Scan:
    """A scan on the device, padded so that any patch (turned by 90 degrees too) fits into it."""
    longest = max(patch[0], patch[1])
    pads = padding(volume.image.shape, (longest, longest, patch[2]))
    image = functional.pad(torch.from_numpy(volume.image), pads)
    label = functional.pad(torch.from_numpy(volume.label), pads)
    return Scan(image.to(device), label.to(device))


def padding(shape: Sequence[int], patch: Triple) -> list[int]:
    """The published rule, in the order of `torch.nn.functional.pad` (last axis first).

    As soon as one side is at most the patch's, each axis is padded on both ends by
    max((patch - side) // 2 + 3, 0), so an axis up to 4 voxels larger than the patch is padded too.
    """
    if all(side > length for side, length in zip(shape, patch, strict=True)):
        return [0] * 6
    ends = [max((length - side) // 2 + 3, 0) for side, length in zip(shape, patch, strict=True)]
    return [end for axis in reversed(ends) for end in (axis, axis)]
