"""The published preprocessing of the three data sets, from arrays to arrays.

Sources: the preparation scripts released with UA-MT (left atrium), with the studies on
Pancreas-CT that follow V-Net, and with SSL4MIS (BraTS2019). Their oddities are kept on purpose:
prepared scans must equal the ones behind the published numbers.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from skimage.exposure import cumulative_distribution
from skimage.filters import threshold_otsu

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.images import from_itk, to_itk
from sgrs_core.data.formats.values import check_shapes
from sgrs_core.data.masks import Mask, extent, largest_component
from sgrs_core.experiment.settings import PANCREAS, NiftiSettings

Array = NDArray[Any]  # numbers of any type
Crop = tuple[slice, slice, slice]
Margins = tuple[int, int, int, int]  # voxels left before and after: x0, x1, y0, y1

LA_SIDE = 112  # voxels: the patch the published networks are trained on
LA_MARGINS = (10, 19)  # voxels, least and most
BSPLINE_REACH = 24  # voxels
BRATS_KEPT = 0.999  # share of the voxels that stay below the clipping intensity
BRATS_BINS = 256
MOST_BINS = 2**24  # one for each integer
LONGEST_SIDE = 2**31  # voxels; ITK counts no further


class Prepared(NamedTuple):
    """A cropped scan: image float32, z-scored, and label uint8, 0 or 1, of one shape, or None.

    start: the voxel of the uncropped grid (Pancreas-CT: of the 1 mm grid) that came to (0, 0, 0).
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8] | None
    start: tuple[int, int, int]


def la_margins(case: str) -> Margins:
    """The four margins of a left-atrium scan, 10 to 19 voxels each, fixed by the scan's name.

    The released code draws them without a seed, so its own draws cannot be repeated.
    """
    digest = hashlib.sha256(case.encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest, "big"))
    least, most = LA_MARGINS
    x0, x1, y0, y1 = generator.integers(least, most + 1, size=4).tolist()
    return x0, x1, y0, y1


def prepare_la(image: Array, label: Array, margins: Margins) -> Prepared:
    """Left atrium: z-score by the whole scan, crop around the label in x and y.

    image: (X, Y, Z), any number type. label: (X, Y, Z), bool or 0 and 1.
    Raises ValueError for different shapes, an empty label or a constant image.
    """
    check_shapes(image, label)
    crop = crop_in_plane(label, margins, LA_SIDE)
    return Prepared(z_score(image[crop], reference=image), as_mask(label[crop]), start(crop))


def prepare_pancreas(image: Array, label: Array, spacing: Sequence[float]) -> Prepared:
    """Pancreas-CT: resample to 1 mm, window, crop around the label in x and y, z-score the crop.

    image: (X, Y, Z) in HU. label: (X, Y, Z), bool or 0 and 1. spacing: mm along x, y, z.
    Raises ValueError for different shapes, an empty label or a constant crop.
    """
    return prepare_custom(image, label, spacing, PANCREAS)


def prepare_brats(flair: Array, segmentation: Array) -> Prepared:
    """BraTS: crop to the brain, clip the brightest voxels, z-score by the positive ones.

    flair and segmentation: one shape, axes in any order; every tumour class becomes label 1.
    Pass `flair` in the number type of its file, which decides the histogram (see `clip_value`).
    Raises ValueError for different shapes, a FLAIR image without a brain, or a constant one.
    """
    check_shapes(flair, segmentation)
    crop = brain_box(flair)
    return Prepared(standardised_brain(flair[crop]), as_mask(segmentation[crop] > 0), start(crop))


def standardised_brain(brain: Array) -> NDArray[np.float32]:
    """Clip the brightest voxels of a cropped FLAIR image and z-score it by the positive ones."""
    clipped = np.minimum(brain, clip_value(brain))
    return z_score(clipped, reference=clipped[clipped > 0])


def prepare_custom(
    image: Array, label: Array | None, spacing: Sequence[float], settings: NiftiSettings
) -> Prepared:
    """Each step that the settings ask for: resample, window, crop in x and y, z-score the crop.

    image: (X, Y, Z), any number type. label: (X, Y, Z), bool or 0 and 1, or None. spacing: mm along
    x, y, z. Raises ValueError for different shapes, an empty label or a constant crop.
    """
    check_shapes(image, label)
    voxel = settings.voxel
    mask = None if label is None else as_mask(label)
    if mask is not None and voxel is not None:
        mask = to_voxels(mask, spacing, SimpleITK.sitkNearestNeighbor, voxel=voxel)
        if np.any(label) and not mask.any():
            raise ValueError(
                f"the label is zero everywhere once resampled to {voxel:g} mm: what it marks is "
                "thinner than that; choose a smaller voxel, or leave the scan out"
            )
    spline = SimpleITK.sitkBSpline
    if mask is None or settings.crop == "body":
        image = image if voxel is None else to_voxels(image, spacing, spline, voxel=voxel)
        crop = kept_part(settings, image)
        kept = image[crop]
    else:  # around a label, no more of the scan is resampled than will be kept
        crop = kept_part(settings, mask, mask)
        kept = image[crop] if voxel is None else to_voxels(image, spacing, spline, crop, voxel)
    windowed = to_window(kept, settings.window) if settings.window else kept
    return Prepared(z_score(windowed), None if mask is None else as_mask(mask[crop]), start(crop))


def kept_part(settings: NiftiSettings, image: Array, mask: Array | None = None) -> Crop:
    """What the settings keep of a scan: the box around a mask or, without one, around the body."""
    if settings.margin is None:
        return whole(image)
    around = body_of(image) if mask is None else mask
    return crop_in_plane(around, (settings.margin,) * 4, settings.minimum_side)


def body_of(image: Array) -> Mask:
    """Where a patient lies: the largest connected part above Otsu's threshold, (X, Y, Z)."""
    return largest_component(image > threshold_otsu(image.ravel()))


def downsample(image: PlacedImage, factor: int) -> PlacedImage:
    """The mean of each block of factor^3 voxels, float64, where the block's middle lies.

    Voxels at the far ends that do not fill a block are dropped; factor 1 returns the input.
    Raises ValueError for a factor below 1 or larger than a side.
    """
    shape = image.array.shape
    if not 1 <= factor <= min(shape):
        raise ValueError(
            f"downsampling factor {factor}: allowed for a scan of {shape} voxels are 1 to "
            f"{min(shape)}"
        )
    if factor == 1:
        return image
    x, y, z = (side // factor for side in shape)
    whole = image.array[: x * factor, : y * factor, : z * factor]
    blocks = whole.reshape(x, factor, y, factor, z, factor)
    return image._replace(
        array=blocks.mean(axis=(1, 3, 5), dtype=np.float64),
        spacing=tuple(step * factor for step in image.spacing),
        origin=image.position([(factor - 1) / 2] * 3),
    )


def z_score(image: Array, reference: Array | None = None) -> NDArray[np.float32]:
    """(image - mean) / standard deviation, both of the voxels of `reference` (default: image).

    Raises ValueError where no deviation can be divided by.
    """
    voxels = image if reference is None else reference
    if voxels.size == 0:
        raise ValueError("no voxel to take mean and deviation of: is the image all zero?")
    mean, deviation = voxels.mean(dtype=np.float64), voxels.std(dtype=np.float64)
    if not 0 < deviation < np.inf:
        raise ValueError(
            f"the intensities' standard deviation is {deviation}: the image is constant or holds "
            "NaN; repair or exclude the scan"
        )
    standardised: NDArray[np.float32] = ((image - mean) / deviation).astype(np.float32, order="C")
    return standardised


def whole(image: Array) -> Crop:
    """A crop that leaves everything."""
    x, y, z = (slice(0, side) for side in image.shape)
    return x, y, z


def crop_in_plane(label: Array, margins: Margins, minimum_side: int) -> Crop:
    """The published box around a label: cropped in x and y, whole in z."""
    x0, x1, y0, y1 = margins
    return (
        crop_bounds(label, 0, (x0, x1), minimum_side),
        crop_bounds(label, 1, (y0, y1), minimum_side),
        slice(0, label.shape[2]),
    )


def crop_bounds(label: Array, axis: int, margins: tuple[int, int], minimum_side: int) -> slice:
    """One axis of the box: the label's extent, padded to `minimum_side`, plus margins.

    As published, the upper end is excluded, so it lies one voxel nearer than its margin says; at
    the scan's border the box is cut off and may be smaller than `minimum_side`.
    """
    along = extent(label != 0, axis, name="the label")
    first, last = along.start, along.stop - 1
    padding = max(minimum_side - (last - first), 0) // 2
    lower = max(first - padding - margins[0], 0)
    return slice(lower, min(last + padding + margins[1], label.shape[axis]))


def brain_box(flair: Array) -> Crop:
    """The box of non-zero voxels, without its last slice along each axis, as published."""
    sides = [extent(flair != 0, axis, name="the FLAIR image") for axis in range(3)]
    x, y, z = (slice(side.start, side.stop - 1) for side in sides)
    if any(side.start == side.stop for side in (x, y, z)):
        raise ValueError("the FLAIR image is non-zero in one slice only; is it skull-stripped?")
    return x, y, z


def clip_value(image: Array) -> Any:
    """The intensity at which the cumulative histogram first reaches 0.999, in the image's type.

    Floating-point images have 256 bins, and so have integers too many to be counted each;
    scikit-image gives other integer images one bin per value.
    """
    if float(image.max()) - float(image.min()) > MOST_BINS:
        image = image.astype(np.float64)
    cumulative, intensities = cumulative_distribution(image, BRATS_BINS)
    return intensities[np.argmax(cumulative >= BRATS_KEPT)]


def to_voxels(
    array: Array,
    spacing: Sequence[float],
    interpolator: int,
    crop: Crop | None = None,
    voxel: float = 1.0,
) -> Array:
    """Resample (X, Y, Z) to cubic voxels of `voxel` mm; voxel (0, 0, 0) keeps its place.

    Each side becomes int(side * spacing / voxel): the last, incomplete voxel is dropped. Beyond the
    last plane's middle, which only slices thicker than 2 voxels reach, it is that plane's values.
    crop: the part of that grid to compute; None is all of it. A B-spline's result is float32.
    """
    steps = [float(step) / voxel for step in spacing]  # in new voxels
    x, y, z = (slice(0, int(side * step)) for side, step in zip(array.shape, steps, strict=True))
    wanted = crop or (x, y, z)
    sides = [side.stop - side.start for side in wanted]
    if max(sides) > LONGEST_SIDE:
        raise ValueError(f"in voxels of {voxel:g} mm it would have {sides}; choose a larger voxel")
    near = neighbourhood(wanted, array.shape, steps)
    origin = tuple(side.start * step for side, step in zip(near, steps, strict=True))
    image = to_itk(PlacedImage(array[near], tuple(steps), origin))
    if interpolator == SimpleITK.sitkBSpline:
        image = SimpleITK.Cast(image, SimpleITK.sitkFloat32)
    resampled = SimpleITK.Resample(
        image,
        sides,
        interpolator=interpolator,
        outputOrigin=[float(side.start) for side in wanted],
        useNearestNeighborExtrapolator=True,
    )
    return from_itk(resampled).array


def neighbourhood(crop: Crop, shape: Sequence[int], steps: Sequence[float]) -> Crop:
    """The voxels that the values in a crop of the new grid depend on; steps: in new voxels.

    A cubic B-spline's coefficients depend on all voxels, by 0.268 to the power of the distance:
    what lies BSPLINE_REACH away is far below float32's last digit.
    """
    x, y, z = (
        slice(
            max(int(side.start / step) - BSPLINE_REACH, 0),
            min(int(side.stop / step) + BSPLINE_REACH, length),
        )
        for side, length, step in zip(crop, shape, steps, strict=True)
    )
    return x, y, z


def to_window(image: Array, window: tuple[float, float]) -> Array:
    """Clip intensities to a window (lowest, highest) and scale it to [0, 1]."""
    lowest, highest = window
    windowed: Array = (np.clip(image, lowest, highest) - lowest) / (highest - lowest)
    return windowed


def as_mask(label: Array) -> NDArray[np.uint8]:
    """A copy as uint8, so that a crop does not keep the whole scan in memory."""
    return np.array(label, dtype=np.uint8, order="C")


def start(crop: Crop) -> tuple[int, int, int]:
    """The first voxel of a crop."""
    x, y, z = (int(side.start) for side in crop)
    return x, y, z
