"""What a run's starts cost is known at its end: the checkpoint carries it from start to start."""

import time
from pathlib import Path

import pytest

from sgrs_core.methods import METHODS
from sgrs_core.training.checkpoint import Progress, resume, save


@pytest.fixture
def clocks(monkeypatch):
    """Both clocks, moved by hand."""

    class Clocks:
        date, uptime = 1_000_000.0, 50.0

        def go_on(self, seconds: float) -> None:
            self.date += seconds
            self.uptime += seconds

    clocks = Clocks()
    monkeypatch.setattr(time, "time", lambda: clocks.date)
    monkeypatch.setattr(time, "monotonic", lambda: clocks.uptime)
    return clocks


@pytest.fixture
def start(tmp_path, tiny_training):
    """Go on from the checkpoint in a folder, as a new process does, of a run with this seed."""

    def start(seed: int = 0) -> Progress:
        method = METHODS["vnet"](tiny_training)
        progress = resume(tmp_path, {"seed": seed}, method, method.optimizers())
        progress.costs.begin("a machine")
        return progress

    return start


@pytest.fixture
def checkpoint(tmp_path, tiny_training):
    """Save one, as the loop does."""

    def checkpoint(progress: Progress, on_gpu: bool, folder: Path = tmp_path) -> None:
        method = METHODS["vnet"](tiny_training)
        progress.iteration += 1
        progress.costs.note_work(on_gpu)
        save(folder, {"seed": 0}, method, method.optimizers(), progress)

    return checkpoint


def test_one_undisturbed_start_is_all_there_is_to_pay(clocks, start, checkpoint):
    progress = start()
    clocks.go_on(60)
    checkpoint(progress, on_gpu=False)
    assert progress.costs.facts() == {
        "starts": 1,
        "machines": ["a machine"],
        "wall_seconds": 60.0,
        "gpu_seconds": 0.0,
    }


def test_time_between_starts_and_lost_work_count_as_wall_time_and_saved_work_as_gpu_time(
    clocks, start, checkpoint
):
    first = start()
    clocks.go_on(100)
    checkpoint(first, on_gpu=True)
    clocks.go_on(7)  # lost: killed before the next checkpoint
    clocks.go_on(1000)  # not at work
    second = start()
    clocks.go_on(30)
    checkpoint(second, on_gpu=False)
    third = start()
    clocks.go_on(5)
    checkpoint(third, on_gpu=True)
    assert third.costs.facts() == {
        "starts": 3,
        "machines": ["a machine"],
        "wall_seconds": 1142.0,
        "gpu_seconds": 105.0,
    }


def test_a_start_killed_before_its_first_checkpoint_is_forgotten(clocks, start):
    start()
    clocks.go_on(500)
    assert start().costs.facts() == {
        "starts": 1,
        "machines": ["a machine"],
        "wall_seconds": 0.0,
        "gpu_seconds": 0.0,
    }


def test_starts_of_other_settings_are_not_this_runs(clocks, start, checkpoint):
    progress = start()
    clocks.go_on(500)
    checkpoint(progress, on_gpu=True)
    other = start(seed=1).costs.facts()
    assert other == {
        "starts": 1,
        "machines": ["a machine"],
        "wall_seconds": 0.0,
        "gpu_seconds": 0.0,
    }


def test_a_clock_that_was_set_back_does_not_make_a_run_shorter_than_its_work(
    clocks, start, checkpoint
):
    progress = start()
    clocks.go_on(60)
    clocks.date -= 3600
    checkpoint(progress, on_gpu=False)
    assert progress.costs.facts()["wall_seconds"] == 60.0
