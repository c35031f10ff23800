"""What a record says of the project's commit, and which runs it stands for."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sgrs_core.training.record import is_of_another, is_record_of, sums_of_scans, write_record
from tests.places import PROJECT
from tests.synthetic_results import plan_of_quick

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


@pytest.fixture(scope="module")
def both_ways():
    """A run that chooses checkpoints in both ways, and made-up digests of its scans."""
    plan = plan_of_quick()
    run = plan.run(next(iter(plan.rows)))
    assert set(run.selection_scans) == {"last", "best_on_test"}
    return run, {scan: scan[::-1] for scan in run.scans}


def write(path: Path, run, digests: dict[str, str]) -> None:
    write_record(path, run, sums_of_scans(run, digests))


def of_its_own(run, digests: dict[str, str]) -> dict[str, str]:
    return {scan: digests[scan] for scan in run.scans}


def is_there(record: Path, run, digests: dict[str, str]) -> bool:
    return is_record_of(run, sums_of_scans(run, digests), record)


def test_a_record_stands_for_a_run_that_chooses_in_fewer_ways_but_not_in_more(both_ways, tmp_path):
    run, digests = both_ways
    record = tmp_path / "record.json"
    for asked, recorded, answers in (
        (run, run, True),
        (run.choosing(["last"]), run, True),
        (run.choosing(["best_on_test"]), run, True),
        (run, run.choosing(["last"]), False),
        (run, run.choosing(["best_on_test"]), False),
        (dataclasses.replace(run, seed=9).choosing(["last"]), run, False),
    ):
        write(record, recorded, of_its_own(recorded, digests))
        assert is_there(record, asked, of_its_own(asked, digests)) is answers
        assert is_of_another(asked, record) is not answers


def test_of_a_recorded_runs_scans_those_must_be_the_same_that_are_asked_for(both_ways, tmp_path):
    run, digests = both_ways
    record, last = tmp_path / "record.json", run.choosing(["last"])
    write(record, run, digests)
    for scan, serves_last in (
        (run.unlabelled[0], False),
        (run.selection_scans["best_on_test"][0], True),
    ):
        now = {**digests, scan: "another"}
        assert not is_there(record, run, now)
        assert is_there(record, last, of_its_own(last, now)) is serves_last


def test_a_record_of_before_uses_had_digests_stands_for_its_own_run_alone(both_ways, tmp_path):
    run, digests = both_ways
    record, last = tmp_path / "record.json", run.choosing(["last"])
    write(record, run, digests)
    content = json.loads(record.read_text())
    del content["training"]["scans_sha256_by_use"]
    record.write_text(json.dumps(content))
    assert is_there(record, run, digests)
    assert not is_there(record, last, of_its_own(last, digests))


def test_a_record_that_cannot_be_read_is_named_with_a_way_out(both_ways, tmp_path):
    run, digests = both_ways
    record = tmp_path / "record.json"
    write(record, run, digests)
    whole = record.read_text()
    of_later = json.loads(whole)
    of_later["run"]["training"]["later"] = 1
    for text, message in (
        (whole[:200], "damaged"),
        (json.dumps(of_later), r"of another version \(training.*later: Unexpected keyword"),
    ):
        record.write_text(text)
        with pytest.raises(ValueError, match=rf"record\.json: {message}.*; delete it, and") as said:
            is_there(record, run, digests)
        assert "\n" not in str(said.value)
        assert not is_of_another(run, record)


def test_a_number_has_one_digest_however_it_is_written(both_ways):
    run, _ = both_ways
    one, same, other = (
        dataclasses.replace(run, settings={"noise": noise}) for noise in (1, 1.0, 1.5)
    )
    assert one.digest == same.digest != other.digest
