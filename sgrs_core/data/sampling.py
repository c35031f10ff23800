"""Which patches a step sees: a pure function of the seed and the iteration.

Nothing here has a state, so a resumed run draws exactly what an uninterrupted one would have.
Two streams, labelled and unlabelled scans, each an endless row of random permutations: a scan comes
again only after all others of its stream have been drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sgrs_core.data.volumes import Volume
from sgrs_core.methods.method import Batch
from sgrs_core.settings import TrainingSettings, Triple

LABELLED, UNLABELLED, GEOMETRY = 0, 1, 2  # independent streams of random numbers
CODES = 256  # numbers that a byte tells apart

Cut = Callable[[Tensor], Tensor]  # of the voxels of a scan those of a patch


class Sample(NamedTuple):
    """A method's batch, and what it may not see: labels_u (U, X, Y, Z) uint8, for diagnostics."""

    batch: Batch
    labels_u: Tensor


@dataclass(frozen=True)
class Scan:
    """A scan on the training device.

    voxels: (X, Y, Z), the image in float32; or, where `values` is given, each voxel's number in it,
    uint8: intensities that were whole numbers from 0 to 255 take a byte then, and lose nothing.
    label: (X, Y, Z) uint8. values: (n,) float32.
    """

    voxels: Tensor
    label: Tensor
    values: Tensor | None = None

    def write_image(self, cut: Cut, place: Tensor) -> None:
        """Write the intensities of what `cut` takes to a float32 tensor that is contiguous."""
        if self.values is None:
            place.copy_(cut(self.voxels))
        else:
            codes = cut(self.voxels).flatten().int()
            torch.index_select(self.values, 0, codes, out=place.view(-1))


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
        self.device = device

    def draw(self, iteration: int) -> Sample:
        """The patches of one iteration (counted from 1)."""
        run = self.run
        generator = np.random.default_rng([self.seed, GEOMETRY, iteration])
        indices_l = self.indices(LABELLED, len(self.labelled), run.labelled_patches, iteration)
        indices_u = self.indices(
            UNLABELLED, len(self.unlabelled), run.unlabelled_patches, iteration
        )
        images_l, labels_l = self.patches([self.labelled[i] for i in indices_l], generator)
        scans_u = [self.unlabelled[i] for i in indices_u]
        images_u, labels_u = self.patches(scans_u, generator, torch.uint8)
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

    def patches(
        self,
        scans: Sequence[Scan],
        generator: np.random.Generator,
        label_type: torch.dtype = torch.int64,
    ) -> tuple[Tensor, Tensor]:
        """A random patch of each: images (B, 1, X, Y, Z) float32, labels (B, X, Y, Z)."""
        size = (len(scans), *self.run.patch)
        images = torch.empty(size, device=self.device)
        labels = torch.empty(size, dtype=label_type, device=self.device)
        for scan, image, label in zip(scans, images, labels, strict=True):
            cut = self.random_cut(scan.label.shape, generator)
            scan.write_image(cut, image)
            label.copy_(cut(scan.label))
        return images.unsqueeze(1), labels

    def random_cut(self, shape: Sequence[int], generator: np.random.Generator) -> Cut:
        """A random crop of a scan of this shape, rotated and flipped if the run says so.

        Cropping first and turning the patch costs less than turning the scan, and is the same but
        for which of a side's two ends the half-open range of corners leaves out.
        """
        turns = flipped_axis = 0
        size = self.run.patch
        if self.run.augmentation == "rotate_flip":
            turns, flipped_axis = int(generator.integers(4)), int(generator.integers(2))
            if turns % 2:
                size = (size[1], size[0], size[2])
        sides = zip(shape, size, strict=True)
        corner = [int(generator.integers(side - length)) for side, length in sides]
        window = tuple(slice(c, c + length) for c, length in zip(corner, size, strict=True))

        def cut(voxels: Tensor) -> Tensor:
            if self.run.augmentation == "rotate_flip":
                return voxels[window].rot90(turns, (0, 1)).flip(flipped_axis)
            return voxels[window]

        return cut


def load(volume: Volume, patch: Triple, device: torch.device) -> Scan:
    """A scan on the device, padded so that any patch (turned by 90 degrees too) fits into it."""
    longest = max(patch[0], patch[1])
    pads = padding(volume.image.shape, (longest, longest, patch[2]))
    image = functional.pad(torch.from_numpy(volume.image), pads)
    label = functional.pad(torch.from_numpy(volume.label), pads).to(device)
    encoded = encode(image.numpy())
    if encoded is None:
        return Scan(image.to(device), label)
    codes, values = map(torch.from_numpy, encoded)
    return Scan(codes.to(device), label, values.to(device))


def encode(image: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]] | None:
    """Each voxel's number in the rising list of distinct intensities, and the list; None over 256.

    A part of the voxels shows most values, or that there are too many, and is sorted sooner.
    """
    for step in (3, 1):
        values = np.unique(image[::step, ::step, ::step])
        if len(values) > CODES:
            return None
        codes = np.minimum(np.searchsorted(values, image), len(values) - 1)
        if np.array_equal(values[codes], image):
            return codes.astype(np.uint8), values
    raise ValueError("the image holds values that are not numbers")


def padding(shape: Sequence[int], patch: Triple) -> list[int]:
    """The published rule, in the order of `torch.nn.functional.pad` (last axis first).

    As soon as one side is at most the patch's, each axis is padded on both ends by
    max((patch - side) // 2 + 3, 0), so an axis up to 4 voxels larger than the patch is padded too.
    """
    if all(side > length for side, length in zip(shape, patch, strict=True)):
        return [0] * 6
    ends = [max((length - side) // 2 + 3, 0) for side, length in zip(shape, patch, strict=True)]
    return [end for axis in reversed(ends) for end in (axis, axis)]
