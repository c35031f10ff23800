"""What a workflow meets in practice: killed processes, two at once, clocks, missing scans."""

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.workflow.conftest import ENVIRONMENT, one_run, with_volumes_of

pytestmark = pytest.mark.slow

RUN = "results/quick/la/labelled-4/sgrs/seed-0"
MODEL = f"{RUN}/model.pt"
KILLS = 20
CHANGES = one_run(iterations=200, checkpoint_every=5)


@pytest.fixture(scope="module")
def undisturbed(finished) -> Path:
    return finished("undisturbed", MODEL, changes=CHANGES)


@pytest.fixture
def folder(undisturbed, tmp_path) -> Path:
    """A working folder in which the scans are prepared."""
    return with_volumes_of(undisturbed, tmp_path)


@pytest.fixture
def start(command, folder):
    """Starts Snakemake in a process group of its own; none outlives the test."""
    with ExitStack() as started:

        def start(*options: str) -> subprocess.Popen[str]:
            call = command(MODEL, folder=folder, changes=CHANGES, options=options)
            process = subprocess.Popen(
                call, env=ENVIRONMENT, start_new_session=True, text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / MODEL, weights_only=True)["weights"]["last"]


def assert_same_run(one: Path, other: Path) -> None:
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (one / RUN / "log.csv").read_text() == (other / RUN / "log.csv").read_text()


def members(group: int) -> list[int]:
    """The living processes of a group, Snakemake's own first and the youngest job last."""
    found = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True, check=False)
    return sorted(map(int, found.stdout.split()))


def has_checkpoint(folder: Path) -> bool:
    return any((folder / RUN / "unfinished").glob("checkpoint-*.pt"))


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_twenty_kills_with_9_of_snakemake_or_a_job_or_all_lose_nothing(undisturbed, folder, start):
    generator = random.Random(2025)
    killed = {"all": 0, "snakemake": 0, "job": 0}
    while (number := sum(killed.values())) < KILLS:
        process = start()
        whom = ("all", "snakemake", "job")[number % 3]
        try:
            _, errors = process.communicate(timeout=generator.uniform(0, 6))
        except subprocess.TimeoutExpired:
            group = members(process.pid)
            victims = {"all": group, "snakemake": group[:1], "job": group[-1:]}[whom]
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            killed[whom] += 1
            if whom != "snakemake":  # whose orphan goes on, and the next start must live with it
                process.communicate()
        else:  # a fast machine trains to the end between the kills: all over again
            assert process.returncode == 0, errors[-3000:]
            assert_same_run(undisturbed, folder)
            shutil.rmtree(folder / RUN)
    final = start()
    _, errors = final.communicate()
    assert final.returncode == 0, errors[-3000:]
    assert_same_run(undisturbed, folder)


def test_a_run_that_ended_after_its_snakemake_was_killed_is_not_trained_again(
    undisturbed, folder, start
):
    process = start()
    wait_for(lambda: has_checkpoint(folder))
    process.kill()
    process.wait()
    wait_for(lambda: not members(process.pid))
    assert (folder / MODEL).exists()
    final = start()
    _, errors = final.communicate()
    assert final.returncode == 0, errors[-3000:]
    assert "this run is finished" in (folder / RUN / "train.log").read_text()
    assert_same_run(undisturbed, folder)


def test_a_finished_run_is_not_trained_again_even_where_snakemake_is_told_to(
    undisturbed, folder, start
):
    for options in ((), ("--forcerun", "train")):
        process = start(*options)
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        assert_same_run(undisturbed, folder)
    log = (folder / RUN / "train.log").read_text()
    assert "delete its folder" in log
    assert "per second" not in log


def test_looking_changes_nothing(undisturbed, folder, start):
    shutil.copytree(undisturbed / "results", folder / "results", dirs_exist_ok=True)
    for path in (folder / "results").rglob("*"):  # from the future, and one scan is missing
        os.utime(path, (path.stat().st_mtime + 3600,) * 2)
    next((folder / "results/quick/volumes/la").glob("*train*.h5")).unlink()
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*")}
    for options in (("-n",), ("--lint",), ("--summary",), ("--dag",), ("--list-rules",)):
        process = start(*options)
        process.communicate()
    assert {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*")} == before


LOOKING = [
    *("-n", "--lint", "--summary", "--detailed-summary", "--dag", "--rulegraph", "--filegraph"),
    *("--list-rules", "--list-untracked", "--list-input-changes", "--list-params-changes"),
]
CHANGING = ["--delete-all-output", "--delete-temp-output", "--touch", "--forceall"]


def everything(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Time and content of all files but Snakemake's notes."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_while_one_works_no_other_verb_changes_a_byte_or_a_time_and_those_that_would_are_refused(
    undisturbed, folder, start
):
    first = start()
    wait_for(lambda: has_checkpoint(folder))
    os.killpg(first.pid, signal.SIGSTOP)  # so that what changes now is not its doing
    before = everything(folder)
    for verb in (*LOOKING, *CHANGING):
        process = start(verb)
        _, errors = process.communicate()
        assert everything(folder) == before, verb
        assert (process.returncode == 0) is (verb in LOOKING), (verb, errors[-2000:])
        if verb in CHANGING:
            assert "results/quick: another process works here" in errors, verb
            assert "File " not in errors, verb
    os.killpg(first.pid, signal.SIGCONT)
    _, errors = first.communicate()
    assert first.returncode == 0, errors[-3000:]
    assert_same_run(undisturbed, folder)


def test_a_folder_that_may_not_be_written_to_is_named_in_one_line(command, tmp_path):
    without = "-dac_override,-dac_read_search,-fowner"  # what lets root write everywhere
    drop = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    try:
        os.chown(theirs, 65534, 65534)
        subprocess.run([*drop, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root, to give a folder to somebody else")
    call = command("-n", MODEL, folder=tmp_path, changes=CHANGES)
    call = [str(theirs) if one == str(tmp_path) else one for one in call]
    run = subprocess.run(
        [*drop, *call], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert f"{theirs}: no permission to write here" in run.stderr
    assert "Traceback" not in run.stderr
    assert "File " not in run.stderr


def test_a_second_snakemake_on_the_same_results_is_refused_and_the_first_one_ends_well(
    undisturbed, folder, start
):
    first = start()
    wait_for(lambda: has_checkpoint(folder))
    second = start()
    _, errors = second.communicate()
    assert second.returncode != 0
    assert "results/quick: another process works here" in errors
    first.communicate()
    assert first.returncode == 0
    assert_same_run(undisturbed, folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_to_stop_is_answered_with_a_checkpoint_and_the_next_start_goes_on(
    number, undisturbed, folder, start
):
    process = start()
    wait_for(lambda: has_checkpoint(folder))
    os.killpg(process.pid, number)
    process.communicate()
    assert process.returncode != 0
    log = (folder / RUN / "train.log").read_text()
    assert f"{number.name} after iteration" in log
    final = start()
    _, errors = final.communicate()
    assert final.returncode == 0, errors[-3000:]
    assert "going on after iteration" in (folder / RUN / "train.log").read_text()
    assert_same_run(undisturbed, folder)


def test_a_clock_that_was_set_back_makes_nothing_anew_and_stops_nothing(undisturbed, folder, start):
    process = start()
    wait_for(lambda: has_checkpoint(folder))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # What an hour with a wrong clock leaves: the same order of times, all of it in the future.
    for path in (folder / "results").rglob("*"):
        at = path.stat().st_mtime + 3600
        os.utime(path, (at, at))
    final = start()
    _, errors = final.communicate()
    assert final.returncode == 0, errors[-3000:]
    assert "the clock was set back" in errors
    assert "rule prepare" not in errors
    assert_same_run(undisturbed, folder)
    again = start()
    _, errors = again.communicate()
    assert "Nothing to be done" in errors


def test_a_checkpoint_made_with_other_scans_is_not_gone_on_from(folder, start):
    process = start()
    wait_for(lambda: has_checkpoint(folder))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    scan = next((folder / "results/quick/volumes/la").glob("*train*.h5"))
    with h5py.File(scan, "r+") as file:
        file["image"][...] = file["image"][...] * 0.5
    final = start()
    final.communicate()
    assert final.returncode == 0
    log = (folder / RUN / "train.log").read_text()
    assert "was made with another scans_sha256: starting anew" in log
    assert "going on after iteration" not in log


def test_a_prepared_scan_that_was_deleted_is_prepared_again_by_who_needs_it(
    undisturbed, folder, start
):
    scan = next((folder / "results/quick/volumes/la").glob("*train*.h5"))
    before = scan.read_bytes()
    scan.unlink()
    process = start()
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]
    assert scan.read_bytes() == before
    assert_same_run(undisturbed, folder)
    scan.unlink()
    again = start()
    _, errors = again.communicate()
    assert "Nothing to be done" in errors


def own_data(folder: Path, scans: list[str]) -> dict:
    """An experiment on scans of one's own, prepared h5 files in `folder`."""
    return {
        "experiment": "own",
        "seeds": [0],
        "selections": ["last"],
        "datasets": {
            "mine": {
                "title": "Mine",
                "format": "la",
                "source": "local",
                "folder": str(folder),
                "prepared_file": "{scan}.h5",
                "splits": {"train": scans[:-1], "test": scans[-1:]},
                "training": {"iterations": 2, "patch": [16, 16, 16], "base_filters": 2},
                "inference": {"stride": [16, 16, 16], "selection_stride": [16, 16, 16]},
            }
        },
    }


@pytest.fixture
def scans(tmp_path):
    """Four prepared scans in a folder of their own, and their names."""
    folder, names = tmp_path / "scans", ["a", "b", "c", "d"]
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in names:
        image = generator.normal(size=(20, 20, 20)).astype(np.float32)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["image"], file["label"] = image, (image > 1).astype(np.uint8)
    return folder, names


def test_a_data_folder_that_cannot_be_written_to_is_enough(scans, snakemake, tmp_path):
    folder, names = scans
    mount = ["mount", "--bind", str(folder), str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (folder / "new").touch()
        work = tmp_path / "work"
        work.mkdir()
        targets = [f"results/own/volumes/mine/{name}.h5" for name in names]
        run = snakemake(*targets, folder=work, experiment=own_data(folder, names))
        assert run.returncode == 0, run.stderr[-3000:]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_scan_removed_between_two_runs_is_named_before_the_first_job(scans, snakemake, tmp_path):
    folder, names = scans
    experiment = own_data(folder, names)
    target = "results/own/volumes/mine/a.h5"
    assert snakemake(target, folder=tmp_path, experiment=experiment).returncode == 0
    (folder / "b.h5").unlink()
    target = "results/own/volumes/mine/c.h5"
    run = snakemake(target, folder=tmp_path, experiment=experiment)
    assert run.returncode != 0
    assert "b.h5" in run.stderr + run.stdout
    assert "rule prepare" not in run.stderr
    assert not (tmp_path / target).exists()
    assert (tmp_path / "results/own/volumes/mine/a.h5").exists()
