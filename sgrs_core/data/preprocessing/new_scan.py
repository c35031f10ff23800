"""A new scan, in memory and without a label, prepared as a run's own: what its network is to see.

The published preparation crops LA, Pancreas-CT and (as set) a custom data set around the label. A
new scan has none, so it stays whole; a custom data set's crop around the body is the same here.
LA's z-score is over the whole scan anyway and BraTS2019's crop needs no label: there, the input has
the values that training would give it. Where training took the z-score over the crop, it is taken
over the crop around what a first prediction finds, and for that first one over the voxels above the
window's lower end (air left out), or over all voxels where there is no window.
"""

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.images import in_orientation
from sgrs_core.data.masks import Mask, largest_component
from sgrs_core.data.preprocessing import common
from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.volumes import SAME_SPACING


class NewScan:
    """A scan on the grid that its network knows; axes as in training.

    oriented: as it was read, in those axes. image: at the training's spacing. kept: the part of it
    that the network is to see. Raises ValueError where its intensities cannot be of the training's
    modality.
    """

    def __init__(self, image: PlacedImage, spec: InputSpec) -> None:
        self.spec = spec
        self.oriented = in_orientation(image, spec.orientation)
        check_modality(self.oriented, spec.format, spec.window, spec.least_intensity)
        self.image = regridded(self.oriented, spec)
        array = self.image.array
        self.kept = common.whole(array)
        if spec.format == "brats2019":
            self.kept = common.brain_box(array)
        elif spec.steps and not spec.is_scored_around_the_label:
            self.kept = common.kept_part(spec.steps, array)
        if spec.window:
            self.image = self.image._replace(array=common.to_window(array, spec.window))

    @property
    def is_seen_whole(self) -> bool:
        """Whether the network is to see all of it."""
        return self.kept == common.whole(self.image.array)

    def first_input(self) -> PlacedImage:
        """The input before anything is known about where the structure lies."""
        array = self.image.array[self.kept]
        if self.spec.format == "brats2019":
            return self._input(common.standardised_brain(array))
        air_is_left_out = self.spec.is_scored_around_the_label and self.spec.window is not None
        return self._input(common.z_score(array, array[array > 0] if air_is_left_out else None))

    def second_input(self, found: Mask) -> PlacedImage:
        """The input with the z-score of the box around what was found.

        found: of the first input's shape, not empty; its largest component counts.
        """
        array, steps = self.image.array, self.spec.steps
        assert steps is not None  # else there is no second look
        near = enlarged(largest_component(found), self.spec.downsample, array.shape)
        crop = common.crop_in_plane(near, (steps.margin or 0,) * 4, steps.minimum_side)
        return self._input(common.z_score(array, array[crop]))

    def _input(self, array: NDArray[np.float32]) -> PlacedImage:
        """What is kept, z-scored, at its place and on the network's grid."""
        origin = self.image.position(common.start(self.kept))
        seen = self.image._replace(array=array, origin=origin)
        seen = common.downsample(seen, self.spec.downsample)
        return seen._replace(array=seen.array.astype(np.float32, copy=False))


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
    for axis in range(3):
        mask = mask.repeat(factor, axis)
    return np.pad(mask, [(0, side - there) for side, there in zip(shape, mask.shape, strict=True)])


def rounded(spacing: tuple[float, ...]) -> str:
    """Lengths as text: 0.8 x 0.8 x 1.2."""
    return " x ".join(f"{step:.4g}" for step in spacing)
