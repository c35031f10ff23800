"""The one gate for values: what an image or a label may hold, whatever its format.

Called before a library converts, fills or rounds anything.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e12  # no scanner stores more, and sums of squares stay finite
OUTLIER = 1000  # times the scan's own spread: far more than metal in CT or a vessel in MRI
BULK = 0.99  # of the voxels are what the spread is taken of
SAMPLE = 100  # voxels along each axis are enough to know the spread
LARGEST_CLASS = 2**31 - 1  # what stands for "nothing" where integers cannot be NaN
FRACTION = 1e-3  # a label's distance from a whole number that rounding explains

logger = logging.getLogger(__name__)


def check_kind(file: Path, shape: Sequence[int], dtype: Any, channels: int = 1) -> None:
    """Raise ValueError, naming the file and the cause, unless it is one 3D scan of real numbers.

    shape: without axes of length 1 after the third.
    """
    if channels > 1 or np.dtype(dtype).fields:
        cause = f"it has {channels if channels > 1 else 'several'} channels (colours or vectors)"
    elif len(shape) > 3:
        cause = f"it has {int(np.prod(shape[3:]))} volumes (of time, say); give one of them alone"
    elif len(shape) < 3 or min(shape) < 1:
        cause = "give the whole stack of slices"
    elif np.dtype(dtype).kind not in "biuf":
        cause = f"its values are {np.dtype(dtype).name}; give the magnitude, say"
    else:
        return
    raise ValueError(f"{file}: {tuple(shape)} is not a 3D image of one channel: {cause}")


def check_finite(array: NDArray[Any], name: object) -> None:
    """Raise ValueError, naming the scan and a voxel, where values are NaN or infinite."""
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(
            f"{name}: {np.count_nonzero(~finite)} of {array.size} voxels are NaN or infinite, the "
            f"first at {first}; repair the scan, or leave it out"
        )


def check_image(array: NDArray[Any], name: object) -> None:
    """Raise ValueError, naming the scan, for intensities that no scanner measures.

    array: (X, Y, Z) or (Z, Y, X), any real numbers. One voxel far from all others would decide mean
    and deviation alone.
    """
    check_finite(array, name)
    lowest, highest = float(array.min()), float(array.max())
    some = array[tuple(slice(None, None, max(side // SAMPLE, 1)) for side in array.shape)]
    distances = np.abs(some - np.median(some.astype(np.float64)))
    spread = float(np.quantile(distances, BULK, method="lower"))
    middle = float(np.median(some))
    absurd = max(-lowest, highest) > LARGEST
    if absurd or 0 < OUTLIER * spread < max(highest - middle, middle - lowest):
        raise ValueError(
            f"{name}: values run from {lowest:g} to {highest:g}, but {BULK:.0%} of them lie within "
            f"{spread:g} of {middle:g}; voxels so far off are no measurement: repair or clip them"
        )


def as_classes(array: NDArray[Any], name: object) -> NDArray[Any]:
    """A label's values as integers: itself, or rounded where it is stored as floating point.

    Fractions from 0 to 1 (a probability, or a resampled mask) are foreground from 0.5 on, and a
    warning says so. Raises ValueError, naming the file, for NaN, infinite and absurd values, and
    for fractions between classes.
    """
    check_finite(array, name)
    lowest, highest = float(array.min()), float(array.max())
    if max(-lowest, highest) >= LARGEST_CLASS:
        raise ValueError(f"{name}: label values run from {lowest:g} to {highest:g}; repair it")
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind != "f":
        return array
    classes = np.rint(array)
    fractions = np.abs(array - classes) > FRACTION
    if not fractions.any():
        return classes.astype(np.int32)
    if lowest < 0 or highest > 1 + FRACTION:
        raise ValueError(
            f"{name}: label values with fractions, such as {array[fractions][0]:g}, between "
            f"{lowest:g} and {highest:g}, are no classes; resample labels by nearest neighbour"
        )
    logger.warning(
        "%s: %d voxels have values between 0 and 1; foreground is what is at least 0.5",
        name, np.count_nonzero(fractions),
    )  # fmt: skip
    return (array >= 0.5).astype(np.uint8)
