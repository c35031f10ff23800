"""Which slices of a scan a figure shows: by a rule, or as its file says."""

from dataclasses import dataclass
from typing import Literal, get_args

Axis = Literal["x", "y", "z"]

MEDIAN = "median"  # in place of a scan's name: the one with the median Dice
MOST = 6  # slices in a figure


@dataclass(frozen=True)
class Slices:
    """The slices of a scan that a figure shows.

    axis: what they are perpendicular to; x runs to the patient's left, y to the back, z to the
    head. count: how many are chosen by rule. 1 is the one where the ground truth's area is largest;
    more share its volume out evenly. at: their indices along the axis, in place of a rule. Raises
    ValueError, naming the key.
    """

    axis: Axis = "z"
    count: int = 1
    at: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise ValueError(f"count = {self.count}: allowed are 1 to {MOST}")
        if self.at is None:
            return
        if not 1 <= len(self.at) <= MOST or min(self.at) < 0:
            raise ValueError(
                f"at = {list(self.at)}: allowed are 1 to {MOST} indices, whole numbers from 0"
            )
        if self.count != 1:
            raise ValueError(f"count = {self.count}: slices.at names the slices; leave count out")

    @property
    def direction(self) -> int:
        """Which axis of an array (X, Y, Z) they are perpendicular to."""
        return get_args(Axis).index(self.axis)
