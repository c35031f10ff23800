"""What trainings, evaluations and figures can be told: keys, types, bounds, defaults, meanings."""

import math
import unicodedata
from collections.abc import Callable
from glob import escape, has_magic
from os.path import expanduser
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

Triple = tuple[int, int, int]
Selection = Literal["last", "best_on_test", "best_on_validation"]
Scoring = Literal["published", "strict"]
Precision = Literal["strict", "float32", "tensorfloat32", "bfloat16"]
Axis = Literal["x", "y", "z"]

# For classes of settings. What a key means stands in the text below it.
CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator of random numbers takes
Few = Annotated[int, Field(ge=1, le=1024)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, le=1)]  # what a learning rate is multiplied by
# In float32, sharpening and its gradient are finite from 0.01.
Temperature = Annotated[float, Field(ge=0.01, le=1)]
Side = Annotated[
    int, Field(ge=16, le=1024, multiple_of=16)
]  # the V-Net halves each side four times
Stride = tuple[Count, Count, Count]

PUBLISHED_TAU = 0.296  # SGRS-Net's entropy threshold, in base 10
MEDIAN = "median"  # in place of a scan's name: the one with the median Dice
MOST_SLICES = 6  # in a figure
SCAN = "{scan}"  # stands for a scan's name in a path
UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's control characters, halves of others, ends of lines


def refused(message: str) -> PydanticCustomError:
    """What a type's own check raises; the error of a file goes on with the message."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def only(allowed: str, test: Callable[[Any], bool]) -> AfterValidator:
    """A type's own check: where the test is false, the error says what is allowed."""

    def check(value: Any) -> Any:
        if not test(value):
            raise refused(f"allowed are {allowed}")
        return value

    return AfterValidator(check)


def is_plain(text: str) -> bool:
    """Whether a text is one line of characters that can stand in a path."""
    return all(unicodedata.category(character) not in UNSEEN for character in text)


def is_path(text: str) -> bool:
    """Whether a text is a path that Snakemake does not take for a pattern."""
    return bool(text) and is_plain(text) and not set("{}") & set(text)


Title = Annotated[str, only("one line of text", lambda text: bool(text.strip()) and is_plain(text))]
PlainPath = Annotated[
    str, only("paths without { } and control characters", is_path), AfterValidator(expanduser)
]
FileOfScan = Annotated[
    str,
    only(
        f"paths without {{ }} (but for {SCAN}) and control characters",
        lambda path: is_path(path.replace(SCAN, "scan")),
    ),
    only(f"paths with {SCAN} in them", lambda path: SCAN in path),
]
LabelValues = Annotated[
    tuple[int, ...],
    Field(min_length=1),
    only("label values other than 0", lambda values: 0 not in values),
]
Window = Annotated[
    tuple[float, float],
    only(
        "a lowest and a higher one, both finite, or null",
        lambda window: -math.inf < window[0] < window[1] < math.inf,
    ),
]


@dataclass(frozen=True, config=CONFIG)
class TrainingSettings:
    """One training run, whatever its method. Defaults: as published for LA."""

    iterations: Annotated[int, Field(ge=1, le=10**9)] = 15_000
    """optimiser steps"""
    patch: tuple[Side, Side, Side] = (112, 112, 80)
    """voxels along x, y, z; the V-Net halves each side four times"""
    labelled_patches: Count = 2
    """per step"""
    unlabelled_patches: Count = 2
    """per step"""
    base_filters: Few = 16
    """of the V-Net"""
    dropout: Share = 0.5
    """of the V-Net"""
    learning_rate: Positive = 0.01
    """of SGD"""
    momentum: Share = 0.9
    """of SGD"""
    weight_decay: Factor = 1e-4
    """of SGD"""
    ramp_iterations: Count = 6_000
    """until the pseudo-label weight is 1; a multiple of ramp_block"""
    ramp_block: Count = 150
    """the pseudo-label weight changes once in so many iterations (the released code's 150)"""
    augmentation: Literal["rotate_flip", "none"] = "rotate_flip"
    """`rotate_flip` turns patches by multiples of 90 degrees in the x-y plane and flips them along
    x or y; `none` leaves the random crop alone"""
    precision: Precision = "float32"
    """of the networks' arithmetic; losses are always float32. `strict`: float32 and deterministic,
    the same bits on the same hardware; `tensorfloat32`: as float32 but for convolutions on a CUDA
    device"""
    compile: bool = False
    """fuse networks' layers, and SGRS-Net's losses, by torch.compile, which takes minutes at the
    start"""
    channels_last: bool = True
    """memory layout, but not of networks with instance norms, which are contiguous"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a CUDA device if there is one"""
    checkpoint_every: Count = 200
    """in iterations"""
    log_every: Count = 10
    """in iterations"""
    selection_from: Count = 1_000
    """first iteration at which checkpoints compete"""
    selection_every: Count = 200
    """in iterations"""

    @model_validator(mode="after")
    def ramp_ends_with_a_block(self) -> Self:
        if self.ramp_iterations % self.ramp_block:
            raise ValueError(
                f"ramp_iterations = {self.ramp_iterations}: allowed are multiples of "
                f"ramp_block = {self.ramp_block}"
            )
        return self


@dataclass(frozen=True, config=CONFIG)
class InferenceSettings:
    """Sliding-window inference."""

    stride: Stride = (18, 18, 4)
    """voxels along x, y, z between windows, at most the patch's sides"""
    selection_stride: Stride = (18, 18, 4)
    """the (usually wider) stride of the passes that choose a checkpoint"""
    batch: Count = 4
    """windows per network call"""
    largest_component: bool = False
    """keep only a scan's largest connected component (26 neighbours), as some public test scripts
    do; passes that choose a checkpoint keep all, as there"""


def check_strides(inference: InferenceSettings, training: TrainingSettings) -> None:
    """Raise ValueError where windows would leave voxels between them that none covers."""
    for name in ("stride", "selection_stride"):
        check_stride(f"inference.{name}", getattr(inference, name), training.patch)


def check_stride(name: str, stride: Triple, patch: Triple) -> None:
    """Raise ValueError where windows would leave voxels between them, or never move."""
    for step in stride:
        if step < 1:
            raise ValueError(f"{name} = {step}: allowed are whole numbers from 1")
    if any(step > side for step, side in zip(stride, patch, strict=True)):
        raise ValueError(
            f"{name} = {list(stride)}: allowed are at most the sides of patch = {list(patch)}, "
            "because wider ones leave voxels that no window covers"
        )


@dataclass(frozen=True, config=CONFIG)
class NiftiSettings:
    """A data set of one's own, in image files of any format that is read, and how it is prepared.

    The z-score of what is left comes last.
    """

    images: FileOfScan = "images/{scan}.nii.gz"
    """where a scan's image lies below the data set's folder; {scan} is its name, and `*` stands for
    any letters, where one file alone is called so"""
    labels: FileOfScan = "labels/{scan}.nii.gz"
    """where its label lies; scans that are only trained on without a label need none"""
    foreground: LabelValues = (1,)
    """the label values to segment, together as one structure: a run segments one"""
    voxel: Positive | None = None
    """resample to cubes of so many mm; null keeps the scan's grid"""
    window: Window | None = None
    """intensities are clipped to (lowest, highest) and scaled to [0, 1]; null leaves them"""
    margin: Count | None = 25
    """crop in x and y to the box that `crop` says and so many voxels around it, at its upper ends
    one less, as published; null keeps the whole scan"""
    crop: Literal["label", "body"] | None = None
    """around what: the label, or the patient's body, which is the largest part brighter than Otsu's
    threshold, and which a scan without a label has, too; null: the label where every scan of the
    data set has a label file, else the body"""
    minimum_side: Count = 96
    """of that crop, in voxels"""

    def files(self, root: Path, scan: str) -> list[Path]:
        """A scan's image and label; where `*` finds nothing, as the pattern says.

        Raises ValueError, as `key = value: what is wrong`, where it finds several, or both are one.
        """
        image = _found(root, "images", self.images, scan)
        label = _found(root, "labels", self.labels, scan)
        if image == label:
            raise ValueError(f"nifti.labels = {self.labels!r}: {label} is the image of {scan}")
        return [image, label]


def _found(root: Path, key: str, pattern: str, scan: str) -> Path:
    """The file of a pattern for a scan; the pattern itself where there is none."""
    plain = root / pattern.replace(SCAN, scan)
    if not has_magic(pattern):
        return plain
    found = sorted(root.glob(pattern.replace(SCAN, escape(scan))))
    if len(found) > 1:
        raise ValueError(
            f"nifti.{key} = {pattern!r}: scan {scan} has {len(found)} such files, {found[0]} and "
            f"{found[1]}; allowed is what one file of a scan is called"
        )
    return found[0] if found else plain


# Pancreas-CT: the steps of a custom data set. voxel: mm. window: HU, soft tissue.
PANCREAS = NiftiSettings(voxel=1.0, window=(-125.0, 275.0), margin=25, minimum_side=96)


@dataclass(frozen=True, config=CONFIG)
class Margins:
    """Differences too small to matter, by metric. Above a Dice of 80%, among the published rows,
    one point of Dice goes with 1.35 of Jaccard, 0.9 voxels of 95HD and 0.2 of ASD; DTC's author
    reports ±0.8 points between seeds, cards and versions.
    """

    dice: Positive = 1.0
    """points"""
    jaccard: Positive = 1.5
    """points"""
    hd95: Positive = 1.0
    """voxels"""
    asd: Positive = 0.25
    """voxels"""


@dataclass(frozen=True, config=CONFIG)
class Slices:
    """The slices of a scan that a figure shows."""

    axis: Axis = "z"
    """what they are perpendicular to; x runs to the patient's left, y to the back, z to the head"""
    count: Annotated[int, Field(ge=1, le=MOST_SLICES)] = 1
    """how many are chosen by rule: 1 is the one where the ground truth's area is largest; more
    share its volume out evenly"""
    at: Annotated[tuple[Natural, ...], Field(min_length=1, max_length=MOST_SLICES)] | None = None
    """their indices along the axis, in place of a rule"""

    @model_validator(mode="after")
    def named_or_counted(self) -> Self:
        if self.at is not None and self.count != 1:
            raise ValueError(f"count = {self.count}: slices.at names the slices; leave count out")
        return self

    @property
    def direction(self) -> int:
        """Which axis of an array (X, Y, Z) they are perpendicular to."""
        return get_args(Axis).index(self.axis)
