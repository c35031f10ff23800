"""Running the real workflow in folders of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from tests.places import PROJECT
from tests.workflow.warm_start import Working, working

QUICK = Path(__file__).parent / "quick.yaml"
SHEETS = yaml.safe_load(QUICK.read_text(encoding="utf-8"))

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


def planned(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many jobs of each rule a dry run tells of; none where nothing is to be done."""
    assert run.returncode == 0, run.stderr[-3000:]
    counted = re.findall(r"^(\w+) +(\d+)$", run.stdout + run.stderr, re.MULTILINE)
    return {rule: int(count) for rule, count in counted if rule != "total"}


def with_volumes_of(other: Path, folder: Path) -> Path:
    """The folder, with another one's prepared scans in it."""
    volumes = "results/quick/volumes"
    shutil.copytree(other / volumes, folder / volumes, copy_function=shutil.copy2)
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that tests only read, filled by the first of the test processes that asks for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            make(folder)
            done.touch()
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
def begin(command) -> Callable[..., AbstractContextManager[Working]]:
    """Start such a call in a process group of its own, which ends with the block at the latest."""

    def begin(*targets: str, **how) -> AbstractContextManager[Working]:
        _, _, _, *arguments = command(*targets, **how)
        return working(arguments, ENVIRONMENT)

    return begin


@pytest.fixture(scope="session")
def snakemake(begin) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run such a call to its end."""

    def run(*targets: str, **how) -> subprocess.CompletedProcess[str]:
        with begin(*targets, **how) as started:
            return started.end()

    return run


@pytest.fixture(scope="session")
def succeed(snakemake) -> Callable[..., None]:
    """Run such a call to its end, which must be a success."""

    def run(*targets: str, **how) -> None:
        done = snakemake(*targets, **how)
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.fixture(scope="session")
def finished(succeed, prepared, tmp_path_factory) -> Callable[..., Path]:
    """Run such a call in a new folder of that name, where it must succeed; returns the folder.

    LA's scans lie there, prepared.
    """

    def run_in(name: str, *targets: str, **how) -> Path:
        folder = shutil.copytree(prepared, tmp_path_factory.mktemp(name), dirs_exist_ok=True)
        succeed(*targets, folder=folder, **how)
        return folder

    return run_in


@pytest.fixture(scope="session")
def prepared(succeed, tmp_path_factory) -> Path:
    """A folder in which LA's scans of the quick experiment are prepared, and nothing else is."""

    def prepare(folder: Path) -> None:
        folder.mkdir()
        lists = [f"results/quick/volumes/la.{part}.sha256" for part in ("train", "test")]
        succeed(*lists, folder=folder, changes=one_run(4, 2))

    return made_once(tmp_path_factory, "prepared", prepare)


SMALL = {
    "note": "Trainings of four iterations, of two methods.",
    "seeds": [0, 1],
    "selections": ["last", "best_on_test"],
    "datasets": {"pancreas": None, "brats2019": None},
    "tables": {
        **dict.fromkeys(SHEETS["tables"]),
        "table2": {"labelled": [4], "methods": ["vnet", "sgrs"]},
    },
    "figures": {
        **dict.fromkeys(SHEETS["figures"]),
        "figure2": {"labelled": [4], "methods": ["vnet", "sgrs"]},
        "error_maps": {
            "labelled": [4], "methods": ["vnet"], "case": "phantom_test_001",
            "slices": {"axis": "x", "at": [16]},
        },
    },
    "headline": ["table2"],
}  # fmt: skip


@pytest.fixture(scope="session")
def small(succeed, prepared, tmp_path_factory) -> Path:
    """A folder in which SMALL has run whole, with its report; who changes it takes a copy."""

    def run_whole(folder: Path) -> None:
        shutil.copytree(prepared, folder)
        succeed("all", "report", folder=folder, changes=SMALL)

    return made_once(tmp_path_factory, "small ä", run_whole)


DISTURBED = one_run(iterations=100, checkpoint_every=5)
DISTURBED_MODEL = "results/quick/la/labelled-4/sgrs/seed-0/model.pt"


@pytest.fixture(scope="session")
def undisturbed(succeed, prepared, tmp_path_factory) -> Path:
    """A folder in which the run of `disturbed_run.py` was left alone."""

    def leave_alone(folder: Path) -> None:
        shutil.copytree(prepared, folder)
        succeed(DISTURBED_MODEL, folder=folder, changes=DISTURBED)

    return made_once(tmp_path_factory, "undisturbed", leave_alone)


@pytest.fixture
def disturbed(undisturbed, tmp_path) -> Path:
    """A folder for it in which the scans are prepared."""
    return with_volumes_of(undisturbed, tmp_path)


@pytest.fixture
def start(begin, disturbed) -> Iterator[Callable[..., Working]]:
    """Starts Snakemake on it; none outlives the test."""
    with ExitStack() as started:

        def start(*options: str) -> Working:
            how = {"folder": disturbed, "changes": DISTURBED, "options": options}
            return started.enter_context(begin(DISTURBED_MODEL, **how))

        yield start


@pytest.fixture
def complete(start) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Snakemake on it to its end."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return start(*options).end()

    return run
