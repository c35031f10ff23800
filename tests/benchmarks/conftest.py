"""Running the real benchmarks at sizes that take seconds."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.places import PROJECT

TINY = [
    "--device",
    "cpu",
    "--patch",
    "16",
    "16",
    "16",
    "--filters",
    "2",
    "--shape",
    "40",
    "36",
    "24",
    "--repeats",
    "1",
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT)}


@pytest.fixture
def benchmark_rows(tmp_path) -> Callable[..., list[dict[str, str]]]:
    """Run a benchmark with these options, to its end; the lines of its CSV file."""

    def run(name: str, *options: str) -> list[dict[str, str]]:
        file = tmp_path / "measured.csv"
        script = str(PROJECT / "benchmarks" / name)
        subprocess.run(
            [sys.executable, script, *options, "--output", str(file)], env=ENVIRONMENT, check=True
        )
        with file.open(encoding="utf-8") as opened:
            return list(csv.DictReader(opened))

    return run
