"""What a training step is given."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """The patches of one step. There is no field for the labels of unlabelled scans.

    scans_l: for methods that remember scans, the number of each labelled patch's scan among the
    run's labelled ones, from 0; a batch made by hand may leave it empty.
    """

    images_l: Tensor  # (L, 1, X, Y, Z) float32, z-scored
    labels_l: Tensor  # (L, X, Y, Z) int64, 0 or 1
    images_u: Tensor  # (U, 1, X, Y, Z) float32, z-scored
    scans_l: Sequence[int] = ()  # L whole numbers
