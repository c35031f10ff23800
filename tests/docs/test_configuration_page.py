"""docs/configuration.md is what the schema says, and the schema says something of every key."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from docs.tools.configuration_page import SECTIONS, Key, keys_of, meanings_of, page
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods import METHODS
from sgrs_core.methods.settings import method_settings
from tests.places import PROJECT

PAGE = PROJECT / "docs/configuration.md"
CLASSES = {kind for _, kind in SECTIONS} | {method.Settings for method in METHODS.values()}


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: .venv/bin/python docs/tools/configuration_page.py docs/configuration.md"
    )


@pytest.mark.parametrize("kind", sorted(CLASSES, key=lambda kind: kind.__name__))
def test_every_key_has_a_meaning(kind):
    assert [key.name for key in keys_of(kind) if not key.meaning] == []


@dataclass(frozen=True)
class Kettle:
    """For tea.

    litres, cups: of water; a cup is 0.2 litres: no more. lid: null, or its colour;
    whistle: when it boils.

    Never empty: handle. handle: of wood.
    """

    litres: float = 1.0
    cups: int = 5
    lid: str | None = None
    whistle: bool = True
    handle: str = "long"
    spout: str = ""


def test_meanings_are_read_from_a_docstring():
    water = "of water; a cup is 0.2 litres: no more"
    assert meanings_of(Kettle) == {
        "litres": water,
        "cups": water,
        "lid": "null, or its colour",
        "whistle": "when it boils",
        "handle": "of wood",
    }


@method_settings
class Teapot:
    """For tea, too."""

    litres: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Of water,
    or of milk."""
    spouts: PositiveInt | None = None
    """How many."""


def test_meanings_and_bounds_are_read_from_the_fields():
    litres, spouts = keys_of(Teapot)
    assert litres == Key("litres", "number above 0 to 2", "`1`", "Of water, or of milk")
    assert spouts == Key("spouts", "whole number above 0; or `null`", "`null`", "How many")


def test_what_the_page_allows_is_what_the_check_allows():
    keys = {key.name: key for key in keys_of(TrainingSettings)}
    assert keys["iterations"].value == "whole number from 1"
    assert keys["dropout"].value == "number from 0 to below 1"
    assert keys["patch"].value.startswith("3 whole numbers: three multiples of 16")
    assert keys["augmentation"].value == "`rotate_flip`, `none`"
    TypeAdapter(TrainingSettings).validate_python({"iterations": 1, "dropout": 0.0})
    for wrong in ({"iterations": 0}, {"dropout": 1.0}, {"patch": (16, 16, 8)}):
        with pytest.raises(ValidationError):
            TypeAdapter(TrainingSettings).validate_python(wrong)


def test_the_defaults_on_the_page_are_those_of_the_class():
    defaults = {key.name: key.default for key in keys_of(Kettle)}
    assert defaults == {
        "litres": "`1`",
        "cups": "`5`",
        "lid": "`null`",
        "whistle": "`true`",
        "handle": "`long`",
        "spout": "none",
    }
