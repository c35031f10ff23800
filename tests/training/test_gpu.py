"""Every job a GPU of its own; the GPUs are those that a stand-in for nvidia-smi lists."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from sgrs_core.training.gpu import VISIBLE, gpu_for, hold_gpu, visible_gpus

LISTED = "0, GPU-aa\n1, GPU-bb\n"
HOLD = (
    "import sys; from sgrs_core.training.gpu import hold_gpu\n"
    "with hold_gpu(int(sys.argv[1])) as gpu: print(gpu, flush=True); sys.stdin.read()"
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Two GPUs, nothing restricted, locks of its own."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\nprintf '{LISTED}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv(VISIBLE, raising=False)


class Holder:
    """Another process that holds a GPU until it is let go or killed."""

    def __init__(self, runs_per_gpu: int = 1) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(runs_per_gpu)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def gpu(self) -> str:
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        with self.process:  # closes its pipes, waits for its end
            self.process.kill()


@pytest.fixture
def holders():
    started: list[Holder] = []

    def start(*args) -> Holder:
        started.append(Holder(*args))
        return started[-1]

    yield start
    for holder in started:
        holder.kill()


def test_two_jobs_get_two_gpus_and_cuda_sees_one_only(machine, holders):
    other = holders().gpu()
    with hold_gpu() as mine:
        assert {mine, other} == {"GPU-aa", "GPU-bb"}
        assert os.environ[VISIBLE] == mine
    assert VISIBLE not in os.environ


@pytest.mark.slow
def test_a_third_job_waits_for_a_gpu_and_gets_that_of_a_job_killed_with_9(machine, holders, caplog):
    first, second = holders(), holders()
    gpus = {first.gpu(), second.gpu()}
    third = holders()
    with pytest.raises(subprocess.TimeoutExpired):
        third.process.wait(timeout=2)
    first.kill()
    assert third.gpu() in gpus


def test_gpus_are_shared_only_when_asked_and_evenly(machine, holders):
    gpus = [holders(2).gpu() for _ in range(4)]
    assert Counter(gpus) == {"GPU-aa": 2, "GPU-bb": 2}
    assert len(set(gpus[:2])) == 2


@pytest.mark.parametrize("allowed", ["1", "GPU-bb"])
def test_a_schedulers_restriction_is_kept_to(machine, allowed, monkeypatch):
    monkeypatch.setenv(VISIBLE, allowed)
    with hold_gpu() as gpu:
        assert gpu == "GPU-bb"
    assert os.environ[VISIBLE] == allowed


@pytest.mark.parametrize("allowed", ["", "-1", "NoDevFiles", "7", "-1,0"])
def test_no_gpu_allowed_is_no_gpu(machine, allowed, monkeypatch):
    monkeypatch.setenv(VISIBLE, allowed)
    assert visible_gpus() == []


def test_gpus_are_allowed_up_to_the_first_name_that_is_none(machine, monkeypatch):
    monkeypatch.setenv(VISIBLE, "1, MIG-cc, -1, 0")
    assert visible_gpus() == ["GPU-bb", "MIG-cc"]


def test_without_the_drivers_tool_there_is_no_gpu_and_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VISIBLE, raising=False)
    with hold_gpu() as gpu:
        assert gpu is None
        assert VISIBLE not in os.environ


def test_a_run_on_the_cpu_holds_no_gpu_and_others_share_one_as_often_as_allowed(
    machine, holders, monkeypatch
):
    monkeypatch.setenv(VISIBLE, "1")
    assert holders().gpu() == "GPU-bb"
    with gpu_for("auto", 2) as gpu, gpu_for("cpu", 2) as none:
        assert (gpu, none) == ("GPU-bb", None)
