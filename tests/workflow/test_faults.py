"""What a workflow meets in practice: killed processes, signals, clocks, changed scans."""

import os
import random
import shutil
import signal
import subprocess

import h5py
import pytest

from tests.workflow.disturbed_run import (
    MODEL,
    RUN,
    assert_same_run,
    has_checkpoint,
    members,
    wait_for,
)

pytestmark = pytest.mark.slow

KILLS = 12


def test_kills_with_9_of_snakemake_or_a_job_or_all_lose_nothing(
    undisturbed, disturbed, start, complete
):
    generator = random.Random(2025)
    killed = {"all": 0, "snakemake": 0, "job": 0}
    while (number := sum(killed.values())) < KILLS:
        process = start()
        whom = ("all", "snakemake", "job")[number % 3]
        try:
            done = process.end(timeout=generator.uniform(0, 6))
        except subprocess.TimeoutExpired:
            group = members(process.pid)
            victims = {"all": group, "snakemake": group[:1], "job": group[-1:]}[whom]
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            killed[whom] += 1
            if whom != "snakemake":  # whose orphan goes on, and the next start must live with it
                process.end()
        else:  # a fast machine trains to the end between the kills: all over again
            assert done.returncode == 0, done.stderr[-3000:]
            assert_same_run(undisturbed, disturbed)
            shutil.rmtree(disturbed / RUN)
    final = complete()
    assert final.returncode == 0, final.stderr[-3000:]
    assert_same_run(undisturbed, disturbed)


def test_a_run_that_ended_after_its_snakemake_was_killed_is_not_trained_again(
    undisturbed, disturbed, start, complete
):
    process = start()
    wait_for(lambda: has_checkpoint(disturbed))
    os.kill(process.pid, signal.SIGKILL)
    process.end()
    wait_for(lambda: not members(process.pid))
    assert (disturbed / MODEL).exists()
    final = complete()
    assert final.returncode == 0, final.stderr[-3000:]
    assert "this run is finished" in (disturbed / RUN / "train.log").read_text()
    assert ": was trained before" in final.stderr
    assert_same_run(undisturbed, disturbed)


def test_a_finished_run_is_not_trained_again_even_where_snakemake_is_told_to(
    undisturbed, disturbed, complete
):
    shutil.copytree(undisturbed, disturbed, dirs_exist_ok=True)
    forced = complete("--forcerun", "train")
    assert forced.returncode == 0, forced.stderr[-3000:]
    assert_same_run(undisturbed, disturbed)
    log = (disturbed / RUN / "train.log").read_text()
    assert "delete its folder" in log
    assert "per second" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_to_stop_is_answered_with_a_checkpoint(number, disturbed, start):
    process = start()
    wait_for(lambda: has_checkpoint(disturbed))
    os.killpg(process.pid, number)
    assert process.end().returncode != 0
    log = (disturbed / RUN / "train.log").read_text()
    assert f"{number.name} after iteration" in log
    assert has_checkpoint(disturbed)


def test_a_clock_that_was_set_back_makes_nothing_anew_and_stops_nothing(
    undisturbed, disturbed, start, complete
):
    process = start()
    wait_for(lambda: has_checkpoint(disturbed))
    os.killpg(process.pid, signal.SIGKILL)
    process.end()
    # What an hour with a wrong clock leaves: the same order of times, all of it in the future.
    for path in (disturbed / "results").rglob("*"):
        at = path.stat().st_mtime + 3600
        os.utime(path, (at, at))
    final = complete()
    assert final.returncode == 0, final.stderr[-3000:]
    assert "the clock was set back" in final.stderr
    assert "rule prepare" not in final.stderr
    assert "going on after iteration" in (disturbed / RUN / "train.log").read_text()
    assert_same_run(undisturbed, disturbed)
    again = complete()
    assert "Nothing to be done" in again.stderr


def test_a_checkpoint_made_with_other_scans_is_not_gone_on_from(disturbed, start, complete):
    process = start()
    wait_for(lambda: has_checkpoint(disturbed))
    os.killpg(process.pid, signal.SIGKILL)
    process.end()
    scan = next((disturbed / "results/quick/volumes/la").glob("*train*.h5"))
    with h5py.File(scan, "r+") as file:
        file["image"][...] = file["image"][...] * 0.5
    final = complete()
    assert final.returncode == 0, final.stderr[-3000:]
    log = (disturbed / RUN / "train.log").read_text()
    assert "was made with another scans_sha256: starting anew" in log
    assert "going on after iteration" not in log


def test_a_prepared_scan_that_was_deleted_is_prepared_again_by_who_needs_it(
    undisturbed, disturbed, complete
):
    scan = next((disturbed / "results/quick/volumes/la").glob("*train*.h5"))
    before = scan.read_bytes()
    scan.unlink()
    first = complete()
    assert first.returncode == 0, first.stderr[-3000:]
    assert scan.read_bytes() == before
    assert_same_run(undisturbed, disturbed)
    scan.unlink()
    again = complete()
    assert "Nothing to be done" in again.stderr
