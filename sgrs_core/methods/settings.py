"""Kinds of numbers that several methods' settings hold."""

from typing import Annotated

from pydantic import Field

Decay = Annotated[float, Field(gt=0, le=1)]  # what a learning rate is multiplied by
# In float32, sharpening and its gradient are finite from 0.01.
Temperature = Annotated[float, Field(ge=0.01, le=1)]
