"""Which scan a figure shows, and which of its slices: by a rule, or as its file says."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from sgrs_core.experiment.settings import CONFIG, Natural

Mask = NDArray[np.bool_]
Axis = Literal["x", "y", "z"]

MEDIAN = "median"  # in place of a scan's name: the one with the median Dice
MOST = 6  # slices in a figure


@dataclass(frozen=True, config=CONFIG)
class Slices:
    """The slices of a scan that a figure shows."""

    axis: Axis = "z"
    """what they are perpendicular to; x runs to the patient's left, y to the back, z to the head"""
    count: Annotated[int, Field(ge=1, le=MOST)] = 1
    """how many are chosen by rule: 1 is the one where the ground truth's area is largest; more
    share its volume out evenly"""
    at: Annotated[tuple[Natural, ...], Field(min_length=1, max_length=MOST)] | None = None
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

    def of(self, label: Mask) -> list[int]:
        """Their indices in a scan with this label (X, Y, Z), which is not empty.

        Raises ValueError where the scan has no such slice.
        """
        if self.at is None:
            return slices_by_rule(label, self.direction, self.count)
        last = label.shape[self.direction] - 1
        for index in self.at:
            if index > last:
                raise ValueError(
                    f"slices.at = {index}: allowed are 0 to {last}, the scan's slices along "
                    f"{self.axis}"
                )
        return list(self.at)


def slices_by_rule(label: Mask, direction: int, count: int = 1) -> list[int]:
    """One slice: where the label's area is largest, the first of several such.

    Several: those in the middle of `count` parts of equal volume; none twice, so maybe fewer.
    """
    others = tuple(axis for axis in range(3) if axis != direction)
    areas = np.count_nonzero(label, axis=others)
    if count == 1:
        return [int(np.argmax(areas))]
    shares = (np.arange(count) + 0.5) / count * areas.sum()
    return np.unique(np.searchsorted(np.cumsum(areas), shares)).tolist()


def median_case(dice_by_scan: Mapping[Any, float]) -> str:
    """The scan with the median Dice: the lower of two in the middle, ties broken by name.

    Raises ValueError where there is no scan.
    """
    if not dice_by_scan:
        raise ValueError("no scan has a Dice, so none is the median")
    ordered = sorted(dice_by_scan, key=lambda scan: (dice_by_scan[scan], scan))
    return str(ordered[(len(ordered) - 1) // 2])
