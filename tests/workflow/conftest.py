"""Running the real workflow in folders of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
QUICK = Path(__file__).parent / "quick.yaml"

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def command() -> Callable[..., list[str]]:
    """A Snakemake call on one core: targets, its working folder, changed keys, more options.

    changes: what goes over tests/workflow/quick.yaml, as a second config file. experiment: what
    stands in that file's place.
    """

    def build(
        *targets: str,
        folder: Path,
        changes: dict | None = None,
        experiment: dict | None = None,
        options: Sequence[str] = (),
    ) -> list[str]:
        configs = [QUICK]
        if experiment:
            configs = [folder / "experiment.yaml"]
            configs[0].write_text(yaml.safe_dump(experiment), encoding="utf-8")
        if changes:
            configs.append(folder / "changes.yaml")
            configs[-1].write_text(yaml.safe_dump(changes), encoding="utf-8")
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(folder)),
            *("--snakefile", str(PROJECT / "Snakefile"), *options),
            *("--configfile", *map(str, configs), "--", *targets),
        ]

    return build


@pytest.fixture(scope="session")
def snakemake(command) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run such a call to its end."""

    def run(*targets: str, **how) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*targets, **how),
            capture_output=True,
            encoding="utf-8",
            env=ENVIRONMENT,
            check=False,
        )

    return run
