"""The conda environments pin what requirements.txt pins, and hold what their scripts import."""

import re
import subprocess
import sys
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


# Import names of packages that some environment lacks.
PACKAGES = {
    "torch": "torch",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "requests": "requests",
    "SimpleITK": "simpleitk",
    "skimage": "scikit-image",
}
SCRIPTS = sorted(
    {
        (script, environment)
        for file in (PROJECT / "rules").glob("*.smk")
        for environment, script in re.findall(
            r'conda:\s+"../envs/(\w+).yaml".*?workflow_scripts/(\w+).py',
            file.read_text(),
            re.DOTALL,
        )
    }
)


@pytest.mark.parametrize(("script", "environment"), SCRIPTS)
def test_a_script_imports_nothing_that_its_environment_lacks(script, environment):
    there = pins(PROJECT / f"envs/{environment}.yaml")
    lacking = [name for name, package in PACKAGES.items() if package not in there]
    assert lacking
    code = f"""
import sys
sys.modules.update(dict.fromkeys({lacking}))  # importing one of these raises ImportError
import workflow_scripts.{script}
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
