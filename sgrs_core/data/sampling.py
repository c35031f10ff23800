"""Which patches a step sees: a pure function of the seed and the iteration.

Nothing here has a state, so a resumed run draws exactly what an uninterrupted one would have.
Two streams, labelled and unlabelled scans. An epoch of a stream is a random permutation of its
scans, cut into whole steps; scans that fill no step are dropped, so a step never holds a scan
twice, unless the stream has fewer scans than a step has patches. The published sampler does so with
labelled scans; unlabelled ones it draws from permutations without end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sgrs_core.data.batch import Batch
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.settings import TrainingSettings, Triple

LABELLED, UNLABELLED, GEOMETRY = 0, 1, 2  # independent streams of random numbers
CODES = 256  # numbers that a byte tells apart

Cut = Callable[[Tensor], Tensor]  # of the voxels of a scan those of a patch
Window = tuple[slice, ...]  # along x, y, z


class Sample(NamedTuple):
    """A method's batch, and what it may not see: labels_u (U, X, Y, Z) uint8, for diagnostics.

    None where an unlabelled scan has no label, as scans that nobody labelled.
    """

    batch: Batch
    labels_u: Tensor | None


@dataclass(frozen=True)
class Scan:
    """A scan on the training device.

    voxels: (X, Y, Z), the image in float32; or, where `values` is given, each voxel's number in it,
    uint8: intensities that were whole numbers from 0 to 255 take a byte then, and lose nothing.
    label: (X, Y, Z) uint8; None where the scan has none. values: (n,) float32.
    """

    voxels: Tensor
    label: Tensor | None
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
        if any(scan.label is None for scan in self.unlabelled):
            self.unlabelled = [replace(scan, label=None) for scan in self.unlabelled]
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
        assert labels_l is not None  # the list of prepared scans was not written without them
        return Sample(Batch(images_l, labels_l, images_u, indices_l), labels_u)

    def indices(self, stream: int, scans: int, per_step: int, iteration: int) -> list[int]:
        """The scans of one stream at one iteration; none where the stream has no scans."""
        if scans == 0:
            return []
        epochs = -(-per_step // scans)  # that a step needs
        if epochs > 1:
            first = (iteration - 1) * epochs
            orders = [self.permutation(stream, first + one, scans) for one in range(epochs)]
            return list(chain.from_iterable(orders))[:per_step]
        epoch, step = divmod(iteration - 1, scans // per_step)
        return self.permutation(stream, epoch, scans)[step * per_step :][:per_step]

    def permutation(self, stream: int, epoch: int, scans: int) -> list[int]:
        """The order of a stream's scans in one epoch."""
        order = np.random.default_rng([self.seed, stream, epoch]).permutation(scans)
        return [int(scan) for scan in order]

    def patches(
        self,
        scans: Sequence[Scan],
        generator: np.random.Generator,
        label_type: torch.dtype = torch.int64,
    ) -> tuple[Tensor, Tensor | None]:
        """A random patch of each: images (B, 1, X, Y, Z) float32, labels (B, X, Y, Z).

        None in place of labels where a scan has none.
        """
        size = (len(scans), *self.run.patch)
        images = torch.empty(size, device=self.device)
        labels = torch.empty(size, dtype=label_type, device=self.device)
        for scan, image, label in zip(scans, images, labels, strict=True):
            cut = self.random_cut(scan.voxels.shape, generator)
            scan.write_image(cut, image)
            if scan.label is not None:
                label.copy_(cut(scan.label))
        return images.unsqueeze(1), None if any(scan.label is None for scan in scans) else labels

    def random_cut(self, shape: Sequence[int], generator: np.random.Generator) -> Cut:
        """A random crop of a scan of this shape, of a turned and flipped scan if the run says so.

        The corner is drawn in the scan as it lies after turning and flipping, from [0, side -
        patch) along each axis, as published: the last plane along z is never drawn, and along x
        and y only where patches are turned.
        """
        if self.run.augmentation == "none":
            window = random_window(shape, self.run.patch, generator)
            return lambda voxels: voxels[window]
        turns, flipped_axis = int(generator.integers(4)), int(generator.integers(2))
        x, y, z = shape
        turned = (y, x, z) if turns % 2 else (x, y, z)
        window = random_window(turned, self.run.patch, generator)
        source = before_turning(window, shape, turns, flipped_axis)
        return lambda voxels: voxels[source].rot90(turns, (0, 1)).flip(flipped_axis)


def random_window(shape: Sequence[int], patch: Triple, generator: np.random.Generator) -> Window:
    """Where a patch lies whose corner is uniform in [0, side - length) along each axis."""
    sides = zip(shape, patch, strict=True)
    corner = [int(generator.integers(side - length)) for side, length in sides]
    return tuple(slice(c, c + length) for c, length in zip(corner, patch, strict=True))


def before_turning(window: Window, shape: Sequence[int], turns: int, flipped_axis: int) -> Window:
    """Where in a scan of this shape the voxels lie that are in `window` of it turned, then flipped.

    turns: of a quarter each, from x to y. To cut there, then turn and flip the patch alone, gives
    the same voxels as to turn and flip the whole scan and cut then, and costs less.
    """
    x, y, _ = shape
    columns = np.arange(x * y).reshape(x, y)  # along z; to turn them copies nothing
    there = np.flip(np.rot90(columns, turns), flipped_axis)[window[:2]]
    first, last = divmod(int(there.min()), y), divmod(int(there.max()), y)
    return slice(first[0], last[0] + 1), slice(first[1], last[1] + 1), window[2]


def load(volume: Volume, patch: Triple, device: torch.device) -> Scan:
    """A scan on the device, padded so that any patch (turned by 90 degrees too) fits into it."""
    longest = max(patch[0], patch[1])
    pads = padding(volume.image.shape, (longest, longest, patch[2]))
    image = functional.pad(torch.from_numpy(volume.image), pads)
    label = None
    if volume.label is not None:
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
