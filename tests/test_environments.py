"""The conda environments pin what requirements.txt pins, and hold what their scripts import."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1]
ENVIRONMENTS = sorted((PROJECT / "envs").glob("*.yaml"))


def pins(file: Path) -> dict[str, str]:
    found = re.findall(r"^[ -]*([A-Za-z0-9_.-]+)==(\S+)$", file.read_text(), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.name)
def test_an_environments_pins_are_those_of_the_requirements(file):
    tested = pins(PROJECT / "requirements.txt")
    environment = pins(file)
    assert environment
    assert environment == {name: tested.get(name) for name in environment}


def test_the_requirements_lie_within_the_projects_ranges():
    text = (PROJECT / "pyproject.toml").read_text()
    tested = pins(PROJECT / "requirements.txt")
    ranges = [Requirement(one) for one in re.findall(r'^    "([a-z][^"]*)",?$', text, re.MULTILINE)]
    assert len(ranges) > 15
    for one in ranges:
        assert one.specifier.contains(tested[one.name.lower().replace("_", "-")]), one
