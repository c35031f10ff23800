"""What a run's starts cost is known at its end, whatever happened between them."""

import json
import time
from pathlib import Path

import pytest
import torch

from sgrs_core.training.attempts import FILE, Attempts

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)  # only the name counts here
RUN = {"method": "vnet", "seed": 0, "learning_rate": 0.01}


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


def begin(folder: Path, device=CPU, resumed=False, run=RUN) -> Attempts:
    return Attempts.begin(folder, run, device, resumed)


def test_one_undisturbed_start_is_all_there_is_to_pay(clocks, tmp_path):
    attempts = begin(tmp_path)
    clocks.go_on(60)
    attempts.note()
    assert attempts.facts() == {"starts": 1, "wall_seconds": 60.0, "gpu_seconds": 0.0}


def test_time_between_starts_and_lost_work_count_as_wall_time_and_noted_work_as_gpu_time(
    clocks, tmp_path
):
    first = begin(tmp_path, CUDA)
    clocks.go_on(100)
    first.note()
    clocks.go_on(7)  # lost: killed before the next note
    clocks.go_on(1000)  # nobody at work
    second = begin(tmp_path, CPU, resumed=True)
    clocks.go_on(30)
    second.note()
    third = begin(tmp_path, CUDA, resumed=True)
    clocks.go_on(5)
    third.note()
    assert third.facts() == {"starts": 3, "wall_seconds": 1142.0, "gpu_seconds": 105.0}


def test_a_start_killed_before_its_first_checkpoint_is_a_start(clocks, tmp_path):
    begin(tmp_path)
    assert begin(tmp_path, resumed=False).facts()["starts"] == 2


def test_starts_of_other_settings_are_not_this_runs(clocks, tmp_path):
    begin(tmp_path, run={**RUN, "learning_rate": 0.02})
    clocks.go_on(500)
    assert begin(tmp_path).facts() == {"starts": 1, "wall_seconds": 0.0, "gpu_seconds": 0.0}


def test_a_clock_that_was_set_back_does_not_make_a_run_shorter_than_its_work(clocks, tmp_path):
    attempts = begin(tmp_path)
    clocks.go_on(60)
    clocks.date -= 3600
    attempts.note()
    assert attempts.facts()["wall_seconds"] == 60.0


@pytest.mark.parametrize("content", [None, "", '{"run": ', "[]", '{"attempts": []}'])
def test_where_earlier_starts_are_not_known_nothing_is_made_up(content, tmp_path, caplog):
    if content is not None:
        (tmp_path / FILE).write_text(content)
    unknown = {"starts": None, "wall_seconds": None, "gpu_seconds": None}
    assert begin(tmp_path, resumed=True).facts() == unknown
    assert "earlier starts are not known" in caplog.text
    assert begin(tmp_path, resumed=True).facts() == unknown


def test_the_file_says_what_a_person_would_ask(tmp_path):
    begin(tmp_path, CUDA)
    state = json.loads((tmp_path / FILE).read_text())
    assert state["run"] == RUN
    (attempt,) = state["attempts"]
    assert attempt["cuda"]
    assert time.time() - 60 < attempt["started"] <= time.time()
