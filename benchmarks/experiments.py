"""What the benchmarks that train through the workflow share: how one is run, and its scores."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from sgrs_core.reporting.scores import gather, read_scores

PROJECT = Path(__file__).parents[1]


def run_experiment(base: str, over: Mapping[str, object], cores: int, *arguments: str) -> None:
    """Run config/<base>.yaml with other values over it; arguments: further ones of Snakemake."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "over.yaml"
        file.write_text(yaml.safe_dump(dict(over)), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "snakemake", "--cores", str(cores)),
            *("--configfile", f"config/{base}.yaml", str(file), *arguments),
        ]
        subprocess.run(command, cwd=PROJECT, check=True)


def mean_dice(scores: Path) -> float:
    """The mean over the test scans of a score file, in per cent; an empty prediction is 0."""
    return float(gather([read_scores(scores)], "published").of("dice").mean())
