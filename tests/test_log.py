"""A job's messages: all of them in its log, and on the terminal what a user should see."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from sgrs_core import log as log_module
from tests.places import PROJECT

PROGRAM = """
import logging, sys
from sgrs_core.log import log_to
log_to(sys.argv[1])
logging.getLogger("a.module").info("on its way")
logging.getLogger("a.module").warning("image0001: the label seems shifted")
if len(sys.argv) > 2:
    raise ValueError("image0002: damaged")
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs é" / "prepare.log"


def printed(*arguments: object) -> str:
    """What a job with these messages leaves on its standard error."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        cwd=PROJECT, capture_output=True, encoding="utf-8", check=False,
    ).stderr  # fmt: skip


def test_warnings_reach_the_terminal_and_everything_the_log(log: Path) -> None:
    shown = printed(log)
    assert "WARNING image0001: the label seems shifted" in shown
    assert "on its way" not in shown
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO on its way",
        "WARNING image0001: the label seems shifted",
    ]


def test_an_error_is_one_line_on_the_terminal_and_its_whole_story_in_the_log(log: Path) -> None:
    shown = printed(log, "fail")
    assert shown.splitlines()[-1] == "ValueError: image0002: damaged"
    assert "Traceback" not in shown
    assert shown.count("image0002") == 1
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_where_snakemake_says_why_a_job_failed_the_job_does_not(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(log_module.ANNOUNCED, "1")
    assert "damaged" not in printed(log, "fail")
    assert "ValueError: image0002: damaged" in log.read_text(encoding="utf-8")


def test_libraries_that_tell_of_each_step_are_quiet_in_the_log(log: Path) -> None:
    said = 'logging.getLogger("fontTools.subset").info("glyf pruned")\n'
    program = PROGRAM.replace("if len", said + "if len")
    subprocess.run([sys.executable, "-c", program, str(log)], cwd=PROJECT, check=True)
    assert "pruned" not in log.read_text(encoding="utf-8")


def test_a_second_attempt_adds_to_the_log(log: Path) -> None:
    printed(log)
    printed(log)
    assert log.read_text(encoding="utf-8").count("on its way") == 2


def followed(monkeypatch, seconds_per_step: float, label: str) -> list[str]:
    """What 40 steps that take so long print where standard error is no terminal."""
    now = [0.0]
    monkeypatch.setattr(log_module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    for _ in log_module.follow(0, 40, lambda: "loss 0.5", label):
        now[0] += seconds_per_step
    return stream.getvalue().splitlines()


def test_without_a_terminal_each_tenth_is_a_line_that_says_which_run(monkeypatch) -> None:
    lines = followed(monkeypatch, 10, "SGRS-Net, LA, 4 labelled, seed 0")
    assert [line.split(":")[1].split()[0] for line in lines] == [str(n) for n in range(4, 40, 4)]
    assert lines[4] == (
        "SGRS-Net, LA, 4 labelled, seed 0: 20 of 40 iterations, "
        "0.1 per second, 3 min left, loss 0.5"
    )


def test_a_short_run_and_one_without_a_name_print_no_lines(monkeypatch) -> None:
    assert followed(monkeypatch, 0.5, "V-Net") == []
    assert followed(monkeypatch, 10, "") == []
