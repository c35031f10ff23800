"""Conda environments and container hold what requirements.txt pins, and what scripts import."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.places import PROJECT

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


RECIPE = PROJECT / "envs/Dockerfile"


def instructions(recipe: str) -> list[tuple[str, str]]:
    """A recipe's instructions: keyword and the rest on one line, without comments."""
    lines = [line for line in recipe.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in whole.splitlines() if line]


def pip_commands(text: str, call: str) -> list[list[str]]:
    """The arguments of each installation by pip, without those that change nothing installed."""
    kept = re.findall(rf"^.*?{re.escape(call)} install (.*)$", text, re.MULTILINE)
    return [[word for word in one.split() if word != "--no-cache-dir"] for one in kept]


def test_the_container_installs_what_make_installs():
    recipe = RECIPE.read_text()
    commands = pip_commands("\n".join(rest for _, rest in instructions(recipe)), "pip")
    assert commands == pip_commands((PROJECT / "Makefile").read_text(), "$(BIN)/pip")
    assert commands[0][-2:] == ["--requirement", "requirements.txt"]
    assert pins(RECIPE) == {}


def test_the_container_copies_the_requirements_before_it_installs_them_and_then_the_project():
    order = [
        rest.split()[-1] if keyword == "RUN" else rest
        for keyword, rest in instructions(RECIPE.read_text())
        if keyword == "COPY" or " install " in rest
    ]
    git, *rest = order
    assert git.endswith("/opt/sgrs")
    assert rest == ["requirements.txt .", "requirements.txt", ". .", "."]


def test_the_container_has_the_python_of_the_conda_environments():
    (image,) = [rest for keyword, rest in instructions(RECIPE.read_text()) if keyword == "FROM"]
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", image)[1]
    for file in ENVIRONMENTS:
        assert f"- python={version}\n" in file.read_text()


def test_the_container_starts_a_snakefile_that_was_copied_into_it():
    steps = dict(instructions(RECIPE.read_text()))  # the last of each keyword
    *command, snakefile = json.loads(steps["ENTRYPOINT"])
    assert command == ["snakemake", "--snakefile"]
    folders = [rest for keyword, rest in instructions(RECIPE.read_text()) if keyword == "WORKDIR"]
    assert Path(snakefile).parent == Path(folders[0])
    assert (PROJECT / Path(snakefile).name).is_file()


def test_the_container_lacks_no_file_that_git_tracks():
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout")
    run = subprocess.run(
        ["git", "ls-files", "--cached", "--ignored", f"--exclude-from={RECIPE}.dockerignore"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == ""


def imported_without(lacking: list[str], modules: str) -> subprocess.CompletedProcess[str]:
    """Import modules in a new process, in which some packages cannot be imported."""
    code = f"""
import sys
class Lacking:  # not None in sys.modules, which SciPy takes for a module that is there
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {lacking}:
            raise ImportError(name + " is not in this environment")
sys.meta_path.insert(0, Lacking)
import {modules}
"""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_training_and_prediction_by_a_model_need_only_what_a_gpu_machine_has():
    lacking = ["pydantic", "yaml", "pandas", "matplotlib", "requests"]
    modules = ("training.loop", "evaluation.inference", "evaluation.scoring", "evaluation.model")
    run = imported_without(lacking, ", ".join(f"sgrs_core.{name}" for name in modules))
    assert run.returncode == 0, run.stderr


# Import names of packages that some environment lacks.
PACKAGES = {
    "torch": "torch",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "requests": "requests",
    "tenacity": "tenacity",
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


@pytest.mark.slow
@pytest.mark.parametrize(("script", "environment"), SCRIPTS)
def test_a_script_imports_nothing_that_its_environment_lacks(script, environment):
    there = pins(PROJECT / f"envs/{environment}.yaml")
    lacking = [name for name, package in PACKAGES.items() if package not in there]
    assert lacking
    run = imported_without(lacking, f"workflow_scripts.{script}")
    assert run.returncode == 0, run.stderr
