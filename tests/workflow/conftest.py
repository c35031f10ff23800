"""Running the real workflow in folders of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from tests.places import PROJECT

QUICK = Path(__file__).parent / "quick.yaml"

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


class FullDumper(yaml.SafeDumper):
    """Writes what stands in two places twice; configuration files may have no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def in_full(values: dict) -> str:
    """A configuration file's text."""
    return yaml.dump(values, Dumper=FullDumper)


def copy_project(destination: Path) -> None:
    """The project's own files, as git lists them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.splitlines()):
        source = PROJECT / name
        if source.is_file() and not name.startswith(("tests/golden", "results")):
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, destination / name)


def one_run(iterations: int, checkpoint_every: int) -> dict:
    """Changes of the quick experiment that leave SGRS-Net's run on LA, in so many iterations."""
    training = {"iterations": iterations, "checkpoint_every": checkpoint_every}
    return {
        "datasets": {"la": {"training": training}},
        "selections": ["last"],
        "tables": {"table2": {"labelled": [4], "methods": ["sgrs"]}},
        "figures": {},
        "headline": ["table2"],
    }


def with_volumes_of(other: Path, folder: Path) -> Path:
    """The folder, with another one's prepared scans in it."""
    volumes = "results/quick/volumes"
    shutil.copytree(other / volumes, folder / volumes, copy_function=shutil.copy2)
    return folder


@pytest.fixture(scope="session")
def command() -> Callable[..., list[str]]:
    """A Snakemake call: targets, its working folder, changed keys, more options.

    where: this machine's cores, or a profile that sends jobs elsewhere.
    changes: what goes over tests/workflow/quick.yaml, as a second config file. experiment: what
    stands in that file's place.
    """

    def build(
        *targets: str,
        folder: Path,
        changes: dict | None = None,
        experiment: dict | None = None,
        options: Sequence[str] = (),
        where: Sequence[str] = ("--cores", "1"),
    ) -> list[str]:
        configs = [QUICK]
        if experiment:
            configs = [folder / "experiment.yaml"]
            configs[0].write_text(in_full(experiment), encoding="utf-8")
        if changes:
            configs.append(folder / "changes.yaml")
            configs[-1].write_text(in_full(changes), encoding="utf-8")
        return [
            *(sys.executable, "-m", "snakemake", *where, "--directory", str(folder)),
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


@pytest.fixture(scope="session")
def finished(snakemake, tmp_path_factory) -> Callable[..., Path]:
    """Run such a call in a new folder of that name, where it must succeed; returns the folder."""

    def run_in(name: str, *targets: str, **how) -> Path:
        folder = tmp_path_factory.mktemp(name)
        run = snakemake(*targets, folder=folder, **how)
        assert run.returncode == 0, run.stderr[-3000:]
        return folder

    return run_in
