"""The one gate for values: what an image or a label may hold, whatever its format."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e12  # no scanner stores more, and sums of squares stay finite
OUTLIER = 1000  # times the scan's own spread: far beyond metal in CT or a vessel in MRI
DOUBTFUL = 50  # times it: further than metal, so a warning
BULK = 0.99  # the share of the voxels whose distance from the median is called the spread
SAMPLE = 100  # voxels along each axis are enough to know the spread
LARGEST_CLASS = 2**31 - 1  # what integers hold for "nothing"
FULL = 0.97  # the share of a label that no structure fills
RESOLVED = 100  # steps of single precision, in which networks compute, within the spread
FEW_VALUES = 32  # so many or fewer whole numbers are classes, not intensities
MANY_VALUES = 200  # more are intensities: no atlas has so many structures
FRACTION = 1e-3  # a label's distance from a whole number that rounding explains

logger = logging.getLogger(__name__)


def check_kind(file: Path, shape: Sequence[int], dtype: np.dtype[Any], channels: int = 1) -> None:
    """Raise ValueError, naming the file and the cause, unless it is one 3D scan of real numbers."""
    if channels > 1 or dtype.fields:
        cause = "it has several channels (colours, vectors, or volumes of time); give one alone"
    elif dtype.kind not in "biuf":
        way_out = "give the magnitude, say" if dtype.kind == "c" else "write whole numbers"
        cause = f"its values are {dtype.name}; {way_out}"
    elif len(shape) > 3:
        cause = f"it has {np.prod(shape[3:])} volumes (of time, say); give one alone"
    elif min(shape, default=0) < 1:
        cause = "a side is not positive; correct its header"
    elif len(shape) < 3:
        cause = "give the whole stack of slices"
    else:
        return
    raise ValueError(f"{file}: {tuple(shape)} is not a 3D image of one channel: {cause}")


def check_shapes(image: NDArray[Any], label: NDArray[Any] | None) -> None:
    """Raise ValueError unless an image and its label, if any, are 3D and of one shape."""
    shape = image.shape if label is None else label.shape
    if image.ndim != 3 or image.shape != shape:
        raise ValueError(
            f"image {image.shape} and label {shape} must be 3D and of one shape; "
            "check that both files belong to the same scan"
        )


def check_finite(array: NDArray[Any], name: object) -> None:
    """Raise ValueError, naming the scan and a voxel, where values are NaN or infinite."""
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(
            f"{name}: {np.count_nonzero(~finite)} of {array.size} voxels are NaN or infinite, the "
            f"first at {first}; repair the scan, or leave it out"
        )


def check_image(array: NDArray[Any], name: object, warn: bool = False) -> None:
    """Raise ValueError, naming the scan, for intensities (three axes) that no scanner measures.

    A single voxel far from all others would decide mean and deviation alone. warn: say in the log
    where one is so far that it may be.
    """
    check_finite(array, name)
    lowest, highest = float(array.min()), float(array.max())
    some = _sample(array).astype(np.float64)
    middle = float(np.median(some))
    spread = float(np.quantile(np.abs(some - middle), BULK, method="lower"))
    far = max(highest - middle, middle - lowest)
    told = (
        f"{name}: values run from {lowest:g} to {highest:g}, but {BULK:.0%} of them lie within "
        f"{spread:g} of {middle:g}"
    )
    if far > LARGEST or 0 < OUTLIER * spread < far:
        raise ValueError(f"{told}; what is so far off is no measurement: repair or clip it")
    step = float(np.spacing(np.float32(max(-lowest, highest))))
    if 0 < spread < RESOLVED * step:
        raise ValueError(f"{told}; single precision, in steps of {step:g}, blurs them: shift them")
    if warn and looks_like_label(array):
        logger.warning("%s: few values, all whole numbers: is it a label?", name)
    if warn and 0 < DOUBTFUL * spread < far:
        logger.warning("%s; are a few voxels damaged? They change how all are scaled", told)


def looks_like_label(array: NDArray[Any]) -> bool:
    """Whether a scan (three axes) has a label's values: few, and all of them whole numbers."""
    values = np.unique(_sample(array))
    return len(values) <= FEW_VALUES and bool((values == np.rint(values)).all())


def _sample(array: NDArray[Any]) -> NDArray[Any]:
    """Some of an array's voxels, spread over all of it."""
    return array[tuple(slice(None, None, max(side // SAMPLE, 1)) for side in array.shape)]


def as_classes(array: NDArray[Any], name: object) -> NDArray[Any]:
    """A label's values as whole numbers; from 0.5 on, what lies between 0 and 1 is foreground.

    A warning says so, and one that nearly all is foreground. Raises ValueError, naming the file,
    for NaN, infinite and absurd values, and for fractions between other classes.
    """
    check_finite(array, name)
    lowest, highest = float(array.min()), float(array.max())
    if max(-lowest, highest) >= LARGEST_CLASS:
        raise ValueError(f"{name}: label values run from {lowest:g} to {highest:g}; repair it")
    if array.dtype.kind == "f":
        classes = np.rint(array)
        fractions = np.abs(array - classes) > FRACTION
        if fractions.any() and (lowest < -FRACTION or highest > 1 + FRACTION):
            raise ValueError(
                f"{name}: label values with fractions, such as {array[fractions][0]:g}, between "
                f"{lowest:g} and {highest:g}, are no classes; resample labels by nearest neighbour"
            )
        if fractions.any():
            count = np.count_nonzero(fractions)
            logger.warning("%s: %d fractions; foreground is what is at least 0.5", name, count)
            classes = array >= 0.5
        array = classes.astype(np.int32)
    if lowest < -FRACTION:
        raise ValueError(
            f"{name}: label values run from {lowest:g} to {highest:g}, but no class is below 0; is "
            "it an image, or 255 stored with a sign?"
        )
    if (classes_found := np.unique(_sample(array)).size) > MANY_VALUES:
        logger.warning("%s: %d different label values; is it an image?", name, classes_found)
    share = np.count_nonzero(array) / array.size
    if share >= FULL:
        logger.warning("%s: %.0f%% of it is foreground; is it inverted?", name, 100 * share)
    return array
