"""How a method's settings are declared: a value that is not allowed is refused when they are made.

Under each field stands what it means; docs/configuration.md is made from that.
"""

from typing import Annotated, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Kind = TypeVar("Kind")

CHECKED = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
)
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
# In float32, sharpening and its gradient are finite from 0.01.
Temperature = Annotated[float, Field(ge=0.01, le=1)]


@dataclass_transform(frozen_default=True)
def method_settings(kind: type[Kind]) -> type[Kind]:
    """Make it a frozen dataclass; pydantic raises ValidationError for a value not allowed."""
    return dataclass(frozen=True, config=CHECKED)(kind)  # type: ignore[return-value]
