"""What a record says of the project's commit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import PROJECT

# Without PYTHONPATH: the copy is to be imported.
HERE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
ASK = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from sgrs_core.training.record import git_commit
print(git_commit())
"""


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def ask(folder: Path) -> tuple[str, str]:
    """The commit that a copy of the project names, and what it logs."""
    run = subprocess.run(
        [sys.executable, "-c", ASK], cwd=folder, env=HERE, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return run.stdout.strip(), run.stderr


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the package without history, inside a repository of something else."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "of something else")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "sgrs_core", tmp_path / "copy/sgrs_core", ignore=ignored)
    return tmp_path / "copy"


def test_a_copy_inside_another_repository_does_not_name_that_ones_commit(copy):
    commit, log = ask(copy)
    assert commit == "unknown"
    assert f"{copy}: the commit is not known: it lies in the repository of {copy.parent}" in log


def test_a_clone_names_its_own_commit_and_whether_files_differ(copy):
    git(copy, "init", "-q")
    git(copy, "add", "sgrs_core")
    git(copy, "commit", "-q", "-m", "all of it")
    commit = git(copy, "rev-parse", "HEAD")
    assert ask(copy) == (commit, "")
    (copy / "sgrs_core/__init__.py").write_text("")
    assert ask(copy)[0] == f"{commit}+changes"
