"""What a user sees of a workflow: lines that name runs, errors with their log, and the status."""

import json
import os
import shutil
import signal
import time

import pytest

from sgrs_core.monitoring.status import status
from tests.workflow.conftest import one_run, with_volumes_of

pytestmark = pytest.mark.slow

LABEL = "SGRS-Net, LA, 4 labelled, seed 0"
RUN = "results/quick/la/labelled-4/sgrs/seed-0"
TABLE = "results/quick/tables/table2.md"


@pytest.fixture(scope="module")
def shown(snakemake, prepared, tmp_path_factory):
    """A whole small experiment, and what it printed."""
    folder = with_volumes_of(prepared, tmp_path_factory.mktemp("progress"))
    run = snakemake(TABLE, folder=folder, changes=one_run(20, 10))
    assert run.returncode == 0, run.stderr[-3000:]
    return folder, run.stderr.splitlines()


def test_each_start_and_end_is_one_line_that_names_the_run(shown):
    _, lines = shown
    (started, trained, evaluated) = [line for line in lines if line.startswith(LABEL)]
    assert started == f"{LABEL}: training, 20 iterations"
    assert trained.startswith(f"{LABEL}: trained in ")
    assert ", loss " in trained
    assert evaluated.startswith(f"{LABEL}: evaluated, Dice ")
    assert evaluated.endswith("% (last)")


def test_little_else_is_printed_and_at_the_end_where_things_are(shown):
    _, lines = shown
    assert len(lines) < 50
    assert not any("jobid" in line or "Select jobs" in line for line in lines)
    assert "Tables: results/quick/tables" in lines


def test_the_status_knows_a_finished_experiment(shown):
    folder, _ = shown
    text = status(folder / "results/quick")
    assert ": 1 evaluated, " in text or text.splitlines()[0].endswith(", 1 evaluated")
    assert len(text.split("\n\n")[1].splitlines()) == 2  # a head, and the run that was asked for
    assert text.endswith("Nothing is left to train or to evaluate.")


@pytest.mark.parametrize(("resources", "at_once"), [("gpu=1", 1), ("gpu=3", 3), ("mem_gb=1000", 8)])
def test_as_many_trainings_are_expected_at_once_as_the_command_allows(
    resources, at_once, shown, snakemake, tmp_path
):
    folder = shutil.copytree(shown[0], tmp_path / "copy")
    (folder / TABLE).unlink()
    how = {"options": ["--resources", resources], "where": ["--cores", "8"]}
    run = snakemake(TABLE, folder=folder, changes=one_run(20, 10), **how)
    assert run.returncode == 0, run.stderr[-3000:]
    planned = json.loads((folder / "results/quick/runs.json").read_text())
    assert planned["at_once"] == at_once


def test_a_finished_run_is_known_beside_what_an_attempt_with_other_settings_left(shown):
    folder, _ = shown
    left = folder / RUN / "unfinished"
    left.mkdir()
    try:
        text = status(folder / "results/quick")
    finally:
        left.rmdir()
    assert text.endswith("Nothing is left to train or to evaluate.")


def test_a_failure_is_named_with_its_reason_and_its_log_and_said_again_at_the_end(
    shown, snakemake, tmp_path
):
    folder = with_volumes_of(shown[0], tmp_path)
    changes = one_run(20, 10)
    changes["datasets"]["la"]["training"]["learning_rate"] = 1e30
    run = snakemake(TABLE, folder=folder, changes=changes)
    assert run.returncode != 0
    after = run.stderr[run.stderr.index(f"FAILED: train of {LABEL}") :].splitlines()
    assert after[1].startswith("  FloatingPointError: iteration ")
    assert run.stderr.count("FloatingPointError: iteration ") == 1
    assert after[2] == f"  log: {RUN}/train.log"
    assert after.index("1 failed; the logs:") < after.index(f"  {RUN}/train.log")
    assert "1 failed" in status(folder / "results/quick")


def test_the_status_follows_a_workflow_that_works_that_is_killed_and_that_goes_on(
    shown, begin, snakemake, tmp_path
):
    folder = with_volumes_of(shown[0], tmp_path)
    changes = one_run(200, 10)
    with begin(TABLE, folder=folder, changes=changes) as process:
        end = time.monotonic() + 200
        while not any((folder / RUN / "unfinished").glob("checkpoint-*.pt")):
            assert time.monotonic() < end
            time.sleep(0.2)
        shown_at_work = status(folder / "results/quick")
        assert "1 training" in shown_at_work
        assert "Snakemake is at work, as process " in shown_at_work
        os.killpg(process.pid, signal.SIGKILL)
        process.end()
    while "1 stopped" not in status(folder / "results/quick"):  # the training dies a little later
        assert time.monotonic() < end
        time.sleep(0.2)
    assert "Snakemake is not at work: the same command" in status(folder / "results/quick")
    run = snakemake(TABLE, folder=folder, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"{LABEL}: training, 200 iterations, going on after " in run.stderr
    assert "1 evaluated" in status(folder / "results/quick")
