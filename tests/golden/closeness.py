"""How near to the stored numbers ours must be: any processor's rounding passes, 1% does not.

Where rounding was measured for a file's numbers, tests state the tolerance that follows.
"""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import ArrayLike, NDArray

from sgrs_core.evaluation.inference import segment

OUTPUT, GRADIENT = 1e-4, 1e-3  # relative
FLOOR = 1e-3  # of the largest magnitude: what cancels to near 0 keeps the rounding of its parts


def close(
    actual: ArrayLike,
    expected: ArrayLike,
    relative: float = OUTPUT,
    floor: float = FLOOR,
    share: float = 1,
) -> None:
    """Losses and outputs; a number that stands alone has no floor."""
    theirs = plain(expected)
    absolute = floor * np.abs(theirs).max() if theirs.size > 1 else 0
    within(actual, theirs, relative, absolute, share)


def gradient_close(actual: ArrayLike, expected: ArrayLike, share: float = 1) -> None:
    close(actual, expected, GRADIENT, share=share)


def within(
    actual: ArrayLike,
    expected: ArrayLike,
    relative: float = 0,
    absolute: float = 0,
    share: float = 1,
) -> None:
    """At least this share of the entries is, each within the sum of both tolerances."""
    mine, theirs = plain(actual), plain(expected)
    if share < 1:
        assert mine.shape == theirs.shape
        assert np.isclose(mine, theirs, relative, absolute).mean() >= share
    else:
        assert_allclose(mine, theirs, relative, absolute)


def scan_close(score: ArrayLike, expected: ArrayLike, label: ArrayLike) -> None:
    """A scan's foreground score, and its label wherever the score says it for sure."""
    close(score, expected)
    sure = np.abs(plain(expected) - 0.5) > OUTPUT + FLOOR
    assert_array_equal(segment(plain(score))[sure], plain(label)[sure] == 1)


def plain(values: ArrayLike) -> NDArray[np.generic]:
    return np.asarray(values.detach() if hasattr(values, "detach") else values)
