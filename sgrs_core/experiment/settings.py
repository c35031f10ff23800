"""What a training run and an evaluation can be told, as plain data.

Standard library only: the workflow reads these without importing torch, and a machine that only
trains needs no validation library. `configuration` fills and checks them from the YAML files.
"""

import unicodedata
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

Triple = tuple[int, int, int]
Selection = Literal["last", "best_on_test", "best_on_validation"]
Scoring = Literal["published", "strict"]
Precision = Literal["strict", "float32", "tensorfloat32", "bfloat16"]

PUBLISHED_TAU = 0.296  # SGRS-Net's entropy threshold, in base 10
SCAN = "{scan}"  # stands for a scan's name in a path
UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's control characters, halves of others, ends of lines
SIDE_DIVISOR = 16  # the V-Net halves each side four times


@dataclass(frozen=True)
class TrainingSettings:
    """One training run, whatever its method. Defaults: as published for LA.

    iterations: optimiser steps. patch: voxels along x, y, z. labelled_patches and
    unlabelled_patches: per step. base_filters, dropout: of the V-Net. learning_rate, momentum,
    weight_decay: of SGD. ramp_iterations: until the pseudo-label weight is 1, a multiple of
    ramp_block; ramp_block: the weight changes once in so many iterations (the released code's 150).
    augmentation: `rotate_flip` turns patches by multiples of 90 degrees in the x-y plane and flips
    them along x or y; `none` leaves the random crop alone.
    precision: of the networks' arithmetic; losses are always float32. `strict`: float32 and
    deterministic, the same bits on the same hardware; `tensorfloat32`: as float32 but for
    convolutions on a CUDA device. compile: fuse networks' layers, and SGRS-Net's losses, by
    torch.compile, which takes minutes at the start. channels_last: memory layout, but not of
    networks with instance norms, which are contiguous.
    device: `auto` takes a CUDA device if there is one. checkpoint_every, log_every,
    selection_every: in iterations. selection_from: first iteration at which checkpoints compete.
    """

    iterations: int = 15_000
    patch: Triple = (112, 112, 80)
    labelled_patches: int = 2
    unlabelled_patches: int = 2
    base_filters: int = 16
    dropout: float = 0.5
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    ramp_iterations: int = 6_000
    ramp_block: int = 150
    augmentation: Literal["rotate_flip", "none"] = "rotate_flip"
    precision: Precision = "float32"
    compile: bool = False
    channels_last: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_every: int = 200
    log_every: int = 10
    selection_from: int = 1_000
    selection_every: int = 200

    def __post_init__(self) -> None:
        check_patch("patch", self.patch)
        for name in (
            "iterations", "labelled_patches", "base_filters", "ramp_iterations", "ramp_block",
            "checkpoint_every", "log_every", "selection_from", "selection_every",
        ):  # fmt: skip
            check_positive(name, getattr(self, name))
        if self.unlabelled_patches < 0:
            raise ValueError(
                f"unlabelled_patches = {self.unlabelled_patches}: allowed are 0 and up"
            )
        for name in ("dropout", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} = {getattr(self, name)}: allowed are numbers from 0 to below 1"
                )
        if not 0 < self.learning_rate < inf:
            raise ValueError(f"learning_rate = {self.learning_rate}: allowed are numbers above 0")
        if not 0 <= self.weight_decay < inf:
            raise ValueError(f"weight_decay = {self.weight_decay}: allowed are numbers from 0")
        if self.ramp_iterations % self.ramp_block:
            raise ValueError(
                f"ramp_iterations = {self.ramp_iterations}: allowed are multiples of "
                f"ramp_block = {self.ramp_block}"
            )


@dataclass(frozen=True)
class InferenceSettings:
    """Sliding-window inference.

    stride: in voxels along x, y, z, at most the patch's sides. selection_stride: the (usually
    wider) stride of the passes that choose a checkpoint. batch: windows per network call.
    largest_component: keep only a scan's largest connected component (26 neighbours), as some
    public test scripts do; passes that choose a checkpoint keep all, as there.
    """

    stride: Triple = (18, 18, 4)
    selection_stride: Triple = (18, 18, 4)
    batch: int = 4
    largest_component: bool = False

    def __post_init__(self) -> None:
        for name in ("stride", "selection_stride"):
            for side in getattr(self, name):
                check_positive(name, side)
        check_positive("batch", self.batch)


def check_strides(inference: InferenceSettings, training: TrainingSettings) -> None:
    """Raise ValueError where windows would leave voxels between them that none covers."""
    for name in ("stride", "selection_stride"):
        check_stride(name, getattr(inference, name), training.patch)


@dataclass(frozen=True)
class NiftiSettings:
    """A data set of one's own, in NIfTI files, and how its scans are prepared.

    images, labels: where a scan's two files lie below the data set's folder; {scan} is its name.
    foreground: the label values to segment. voxel: resample to cubes of so many mm; None keeps the
    scan's grid. window: intensities are clipped to (lowest, highest) and scaled to [0, 1]; None
    leaves them. margin: crop in x and y to the label's box and so many voxels around it; None keeps
    the whole scan. minimum_side: of that crop, in voxels.

    The z-score of what is left comes last.
    """

    images: str = "images/{scan}.nii.gz"
    labels: str = "labels/{scan}.nii.gz"
    foreground: tuple[int, ...] = (1,)
    voxel: float | None = None
    window: tuple[float, float] | None = None
    margin: int | None = 25
    minimum_side: int = 96

    def __post_init__(self) -> None:
        for name in ("images", "labels"):
            path = getattr(self, name)
            if SCAN not in path:
                raise ValueError(f"{name} = {path!r}: allowed are paths with {SCAN} in them")
            check_path(name, path, SCAN)
        if not self.foreground or 0 in self.foreground:
            raise ValueError(
                f"foreground = {list(self.foreground)}: allowed are one or more label values "
                "other than 0"
            )
        if self.voxel is not None and not self.voxel > 0:
            raise ValueError(f"voxel = {self.voxel}: allowed are lengths above 0, in mm, or null")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(
                f"window = {list(self.window)}: allowed are a lowest and a higher one, or null"
            )
        if self.margin is not None and self.margin < 0:
            raise ValueError(f"margin = {self.margin}: allowed are whole numbers from 0, or null")

    def files(self, root: Path, scan: str) -> list[Path]:
        """A scan's image and label."""
        return [root / pattern.replace(SCAN, scan) for pattern in (self.images, self.labels)]


def check_positive(name: str, value: int) -> None:
    """Raise ValueError unless the setting is a whole number of at least 1."""
    if value < 1:
        raise ValueError(f"{name} = {value}: allowed are whole numbers from 1")


def check_stride(name: str, stride: Triple, patch: Triple) -> None:
    """Raise ValueError where windows would leave voxels between them that none covers."""
    if any(step > side for step, side in zip(stride, patch, strict=True)):
        raise ValueError(
            f"{name} = {list(stride)}: allowed are at most the sides of patch = {list(patch)}, "
            "because wider ones leave voxels that no window covers"
        )


@dataclass(frozen=True)
class Margins:
    """Differences too small to matter, by metric. Above a Dice of 80%, among the published rows,
    one point of Dice goes with 1.35 of Jaccard, 0.9 voxels of 95HD and 0.2 of ASD; DTC's author
    reports one point between seeds, cards and versions.

    dice, jaccard: points. hd95, asd: voxels.
    """

    dice: float = 1.0
    jaccard: float = 1.5
    hd95: float = 1.0
    asd: float = 0.25

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} = {value}: allowed are numbers above 0")


def check_patch(name: str, patch: Triple) -> None:
    """Raise ValueError unless each side can be halved four times."""
    if any(side < SIDE_DIVISOR or side % SIDE_DIVISOR for side in patch):
        raise ValueError(
            f"{name} = {list(patch)}: allowed are three multiples of {SIDE_DIVISOR}, "
            "because the V-Net halves each side four times"
        )


def check_path(name: str, path: str, filled_in: str = "") -> None:
    """Raise ValueError for a path that is empty or that Snakemake takes for a pattern.

    filled_in: the part that will be a scan's name.
    """
    rest = path.replace(filled_in, "")
    if not path or not is_plain(rest) or "{" in rest or "}" in rest:
        exception = f" (but for {filled_in})" if filled_in else ""
        raise ValueError(
            f"{name} = {path!r}: allowed are paths without {{ }}{exception} and control characters"
        )


def is_plain(text: str) -> bool:
    """Whether a text is one line of characters that can stand in a path."""
    return all(unicodedata.category(character) not in UNSEEN for character in text)
