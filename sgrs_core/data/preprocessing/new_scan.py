"""A new scan, in memory and without a label, prepared as a run's own: what its network is to see.

The published preparation crops LA, Pancreas-CT and (as set) a custom data set around the
label. A new scan has none, so it stays whole; a custom data set's crop around the body is the same
here. LA's z-score is over the whole scan anyway and
BraTS2019's crop needs no label: there, the input has the values that training would give it. Where
training took the z-score over the crop, it is taken over the crop around what a first prediction
finds, and for that first one over the voxels above the window's lower end (air left out), or over
all voxels where there is no window.
"""

from typing import Any, NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.images import in_orientation, modality_of, to_array, voxel_position
from sgrs_core.data.formats.values import check_image
from sgrs_core.data.masks import Mask, largest_component
from sgrs_core.data.preprocessing import common
from sgrs_core.data.preprocessing.input_spec import SAME_SPACING, InputSpec
from sgrs_core.data.preprocessing.modality import check_modality

Array = NDArray[Any]


class Input(NamedTuple):
    """A network's input: z-scored (X, Y, Z) float32, and where it lies; fields of PlacedImage.

    complete: whether it shows all of the scan.
    """

    image: NDArray[np.float32]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    complete: bool


class NewScan:
    """A scan on the grid that its network knows; axes as in training.

    Raises ValueError where its intensities cannot be of the training's modality.
    """

    def __init__(self, image: SimpleITK.Image, spec: InputSpec) -> None:
        self.spec = spec
        self.oriented = in_orientation(image, spec.orientation)
        placed = to_array(self.oriented)
        check_image(placed.array, "the scan")
        check_modality(
            placed.array, spec.format, spec.window, modality_of(image), spec.least_intensity
        )
        self.image = regridded(placed, spec)
        self.kept = common.whole(self.image.array)
        if spec.steps and not spec.is_scored_around_the_label:
            self.kept = common.kept_part(spec.steps, self.image.array)
        if spec.window:
            self.image = self.image._replace(array=common.to_window(self.image.array, spec.window))

    def first_input(self) -> Input:
        """The input before anything is known about where the structure lies."""
        array = self.image.array
        if self.spec.format == "brats2019":
            crop = common.brain_box(array)
            return self._input(common.standardised_brain(array[crop]), crop)
        array = array[self.kept]
        air_is_left_out = self.spec.is_scored_around_the_label and self.spec.window is not None
        reference = array[array > 0] if air_is_left_out else None
        return self._input(common.z_score(array, reference), self.kept)

    def second_input(self, found: Mask) -> Input:
        """The input with the z-score of the box around what was found.

        found: of the first input's shape, not empty; its largest component counts.
        """
        array, steps = self.image.array, self.spec.steps
        assert steps is not None  # else there is no second look
        near = enlarged(largest_component(found), self.spec.downsample, array.shape)
        crop = common.crop_in_plane(near, (steps.margin or 0,) * 4, steps.minimum_side)
        return self._input(common.z_score(array, array[crop]), common.whole(array))

    def _input(self, image: NDArray[np.float32], crop: common.Crop) -> Input:
        factor = self.spec.downsample
        _, spacing, origin, direction = self.image
        origin = voxel_position(common.start(crop), spacing, origin, direction)
        if factor > 1:
            if min(image.shape) < factor:
                raise ValueError(f"{image.shape} voxels are too few to average {factor}^3 of them")
            image = common.block_mean(image, factor).astype(np.float32)
            origin = voxel_position(common.first_middle(factor), spacing, origin, direction)
        coarse = tuple(step * factor for step in spacing)
        return Input(image, coarse, origin, direction, crop == common.whole(self.image.array))


def regridded(image: PlacedImage, spec: InputSpec) -> PlacedImage:
    """The scan at the training's spacing; as it is where that is its own, or there was no one."""
    spacing = spec.spacing
    if spec.steps and spec.steps.voxel:  # training resampled every scan, so the same is done here
        spacing = (spec.steps.voxel,) * 3
    elif spacing is None or np.allclose(image.spacing, spacing, rtol=SAME_SPACING, atol=0):
        return image
    steps = [old / new for old, new in zip(image.spacing, spacing, strict=True)]
    if any(int(side * step) < 1 for side, step in zip(image.array.shape, steps, strict=True)):
        raise ValueError(
            f"{image.array.shape} voxels of {rounded(image.spacing)} mm are less than one voxel of "
            f"{rounded(spacing)} mm along some axis; is the spacing in the file right?"
        )
    array = common.to_voxels(image.array, steps, SimpleITK.sitkBSpline)
    if spec.format == "brats2019":  # splines swing about the brain's edge; 0 has a meaning
        brain = (image.array != 0).astype(np.uint8)
        array = np.maximum(array, 0) * common.to_voxels(brain, steps, SimpleITK.sitkNearestNeighbor)
    return image._replace(array=array, spacing=spacing)


def enlarged(mask: Mask, factor: int, shape: tuple[int, ...]) -> Mask:
    """A mask on blocks of factor^3 voxels as one of voxels; (X, Y, Z) of `shape`."""
    if factor == 1:
        return mask
    for axis in range(3):
        mask = mask.repeat(factor, axis)
    missing = [(0, side - there) for side, there in zip(shape, mask.shape, strict=True)]
    return np.pad(mask, missing)


def rounded(spacing: tuple[float, ...]) -> str:
    """Lengths as text: 0.8 x 0.8 x 1.2."""
    return " x ".join(f"{step:.4g}" for step in spacing)
