"""Conda environments and container hold what requirements.txt pins, and what scripts import."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.places import PROJECT

ENVIRONMENTS = sorted((PROJECT / "envs").glob("*.yaml"))


def pins(requirements: Iterable[str]) -> dict[str, str]:
    """Each package's version; every requirement must name one exactly."""
    found = {}
    for one in map(Requirement, requirements):
        (pin,) = one.specifier
        assert pin.operator == "==", one
        found[canonicalize_name(one.name)] = pin.version
    return found


def required_versions() -> dict[str, str]:
    """What requirements.txt pins."""
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    return pins(line for line in lines if not line.startswith("#"))


def conda(file: Path) -> dict[str, str]:
    """What a conda environment pins: Python by conda, all else by pip."""
    python, pip, by_pip = yaml.safe_load(file.read_text())["dependencies"]
    assert pip == "pip"
    return {"python": python.removeprefix("python="), **pins(by_pip["pip"])}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.name)
def test_an_environments_pins_are_those_of_the_requirements(file):
    versions = required_versions()
    environment = {name: pin for name, pin in conda(file).items() if name != "python"}
    assert environment
    assert environment == {name: versions.get(name) for name in environment}


def test_the_requirements_lie_within_the_projects_ranges():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    not_in_ci = extras.pop("slurm")  # installed by .ci/run, apart
    assert not_in_ci
    versions = required_versions()
    for text in [*project["dependencies"], *(one for extra in extras.values() for one in extra)]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), text


RECIPE = PROJECT / "envs/Dockerfile"


def instructions(recipe: str) -> list[tuple[str, str]]:
    """A recipe's instructions: keyword and the rest on one line, without comments."""
    lines = [line for line in recipe.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in whole.splitlines() if line]


def installations(commands: str) -> list[list[str]]:
    """The arguments of each installation by pip or uv, but those that change nothing installed."""
    arguments = re.findall(r"\bpip install (.*)$", commands, re.MULTILINE)
    ignored = re.compile(r"--no-cache-dir|--quiet|--python \S+")
    return [shlex.split(ignored.sub("", one)) for one in arguments]


def make(*arguments: str) -> str:
    """What make prints, as if no other make had started these tests."""
    surroundings = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        ["make", *arguments], cwd=PROJECT, env=surroundings, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize(("uv", "installer"), [("", ".venv/bin/pip"), ("/usr/bin/uv", "uv pip")])
def test_the_container_installs_what_make_installs(uv, installer):
    made = make("--dry-run", "--always-make", f"UV={uv}", ".venv/complete")
    assert f"{installer} install" in made
    commands = installations("\n".join(rest for _, rest in instructions(RECIPE.read_text())))
    assert commands == installations(made)
    assert commands[0] == ["--requirement", "requirements.txt"]
    assert len(commands) == 2


def test_make_alone_lists_every_target():
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in make().splitlines()] == targets.split()


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
    assert {conda(file)["python"] for file in ENVIRONMENTS} == {version}


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
    lacking = ["yaml", "pandas", "matplotlib", "requests"]
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
    "highdicom": "highdicom",
    "pydicom": "pydicom",
    "nibabel": "nibabel",
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
    there = conda(PROJECT / f"envs/{environment}.yaml")
    lacking = [name for name, package in PACKAGES.items() if package not in there]
    assert lacking
    run = imported_without(lacking, f"workflow_scripts.{script}")
    assert run.returncode == 0, run.stderr
