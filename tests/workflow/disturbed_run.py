"""The run that tests disturb, and whether it ended as if nobody had."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.workflow.conftest import DISTURBED_MODEL as MODEL

RUN = str(Path(MODEL).parent)


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


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
