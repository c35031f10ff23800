"""Which slices of a scan a figure shows: by a rule, or as its file says."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from sgrs_core.experiment.settings import CONFIG, Natural

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
