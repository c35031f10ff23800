"""Every command of the pages that people read is run, page by page, in a copy of the project.

What cannot be run as it stands is in STAND_INS, with what is run in its place and why. Everything
else is run as it stands; the demo alone is made shorter, by SHORTER.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from snakemake.utils import update_config

from tests import warm_python
from tests.docs.pages import PAGES, Block, all_commands, blocks_of
from tests.recompute import read
from tests.workflow.conftest import ENVIRONMENT, PROJECT, copy_project, in_full, made_once

pytestmark = pytest.mark.slow

COPY = "sgrs-net"  # the folder that the tutorial clones into
DRY = r".venv/bin/snakemake --quiet all --dry-run\1"


class StandIn(NamedTuple):
    """What is run in a command's place: nothing, where `instead` is empty."""

    pattern: str  # of the whole command
    instead: str
    why: str


STAND_INS = [
    StandIn(r"git clone ADDRESS (\S+)", r"test -d \1", "the copy is there; CI has a checkout"),
    StandIn(
        r"make demo",
        r"make --old-file=.venv/complete demo",
        "the environment is there; CI makes one, and runs the demo whole",
    ),
    StandIn(
        r"make (env|demo-full|test(?:-\w+)?|lint|docs|coverage)"
        r"( && \.venv/bin/pip install snakemake-executor-plugin\S+)?",
        r"make --dry-run \1",
        "CI runs and installs them",
    ),
    StandIn(
        r"\.venv/bin/snakemake --profile profiles/slurm( .*)",
        DRY.replace("\\1", r" --cores 1\1"),
        "needs SLURM: tests/cluster runs the profile on a real one",
    ),
    StandIn(
        r"\.venv/bin/snakemake( .*)? --software-deployment-method conda( .*)",
        DRY + r"\2",
        "needs conda: tests/test_environments.py compares its environments with what is tested",
    ),
    StandIn(
        r"\.venv/bin/snakemake( .*config/(?:la_half|la|paper|equations|ablations)\.yaml.*)",
        DRY,
        "needs hours, real scans, or a GPU; results/reference holds what was run",
    ),
    StandIn(
        r"\.venv/bin/python (benchmarks/\w+\.py) --device cuda.*",
        r".venv/bin/python \1 --help",
        "needs a GPU: tests/benchmarks runs them, smaller, on a CPU",
    ),
    StandIn(
        r"\.venv/bin/snakemake( .* --configfile spleen\.yaml)",
        DRY,
        "15,000 iterations: tests/workflow/test_sources.py runs this very file with fewer",
    ),
    StandIn(
        r"\.venv/bin/snakemake( --cores 2 (?:report|results/demo_full/tables/table\{5,6,7\}.*))",
        DRY,
        "dozens of trainings: CI makes such tables and the report with tests/workflow/quick.yaml",
    ),
    StandIn(
        r"\.venv/bin/tensorboard (--logdir \S+)",
        r".venv/bin/tensorboard --inspect \1 | grep -q pseudo_label_dice || "
        r".venv/bin/tensorboard --inspect \1 | grep loss",
        "a server, which does not end by itself",
    ),
    StandIn(
        r"(?:docker|apptainer) .*",
        "",
        "needs Docker or Apptainer, root and a GPU: tests/test_environments.py reads the recipe",
    ),
    StandIn(
        r"squeue .*|tail results/\*/la/labelled-4/sgrs/seed-0/train\.log",
        "",
        "needs SLURM and running jobs: tests/cluster",
    ),
    StandIn(
        r"\.venv/bin/sgrs status results/paper",
        ".venv/bin/sgrs status --help",
        "needs the paper's experiment: tests/test_status.py",
    ),
]

# The demo with two methods and trainings of a few iterations.
SHORTER = {
    "datasets": {
        "la": {
            "phantom": {"train_scans": 6, "test_scans": 3, "shape": [32, 32, 16], "seed": 1},
            "training": {
                "iterations": 12, "patch": [16, 16, 16], "base_filters": 2, "ramp_iterations": 2,
                "ramp_block": 1, "checkpoint_every": 10,
            },
            "inference": {"stride": [16, 16, 16], "selection_stride": [16, 16, 16]},
        }
    },
    "tables": {"table2": {"labelled": [4], "methods": ["vnet", "sgrs"]}},
    "figures": {
        "figure2": {"labelled": [4], "methods": ["vnet", "sgrs"]},
        "error_maps": {"labelled": [4], "methods": ["vnet", "sgrs"]},
        "training_curves": {"methods": ["vnet", "sgrs"]},
        "paired_scores": {"labelled": [4], "methods": ["vnet", "sgrs"]},
    },
}  # fmt: skip


def stand_in(command: str) -> str:
    """What is run for a command: itself, if it is not listed."""
    for pattern, instead, _ in STAND_INS:
        if match := re.fullmatch(pattern, command):
            return match.expand(instead)
    return command


def script_of(page: str, scans: Path) -> str:
    """A page as a shell script: its files are written, its commands run."""
    lines = ["set -euo pipefail"]
    for block in blocks_of(page):
        text = block.text.replace("/scans/", f"{scans}/")
        if block.file:
            lines.append(f"cat > {block.file} <<'END OF BLOCK'\n{text}END OF BLOCK")
        for command in block.commands:
            lines += [f"cat <<'END OF BLOCK'\n### {command}\nEND OF BLOCK", stand_in(command)]
    return "\n".join(filter(None, lines)) + "\n"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a real shell; the copy's own sgrs_core is imported."""
    searched = filter(None, [str(folder / COPY), str(folder), os.environ.get("PYTHONPATH")])
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, encoding="utf-8", check=False,
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(searched)},
    )  # fmt: skip


@pytest.fixture(scope="session")
def after_demo(tmp_path_factory) -> Path:
    """A copy of the project in which `make demo` has been run; each page starts from one."""
    return made_once(tmp_path_factory, "after_demo", run_the_demo)


def run_the_demo(copy: Path) -> None:
    """Copy the project, make its demo shorter, and run that."""
    copy_project(copy)
    warm_environment(copy)
    for config in (copy / "config/demo.yaml", copy / "config/config.yaml"):
        shorter = yaml.safe_load(config.read_text(encoding="utf-8"))
        update_config(shorter, SHORTER)
        config.write_text(in_full(shorter), encoding="utf-8")
    for number in range(1, 8):
        for kind in ("images", "labels"):  # of docs/own-data.md
            file = copy / f"scans/{kind}/scan_{number:02d}.nii.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    made = run(stand_in("make demo"), copy)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-4000:]


def warm_environment(copy: Path) -> None:
    """Give a copy an environment: this one, whose Python need not read its libraries first."""
    shutil.rmtree(copy / ".venv", ignore_errors=True)
    bin = copy / ".venv/bin"
    bin.mkdir(parents=True)
    for program in Path(sys.prefix, "bin").iterdir():
        if program.name not in ("python", "snakemake", "sgrs"):
            (bin / program.name).symlink_to(program)
    warm_python.command(bin / "python")
    for name in ("snakemake", "sgrs"):
        warm_python.command(bin / name, str(Path(sys.prefix, "bin", name)))


@pytest.fixture(scope="session")
def scans(tmp_path_factory) -> Path:
    """What the pages call /scans: a file of the right name, and nothing in it, for each scan."""
    folder = tmp_path_factory.mktemp("scans")
    lists = PROJECT / "config/splits"
    for scan in (lists / "la").glob("*.list"):
        for name in scan.read_text().split():
            touch(folder / "la" / name, "lgemri.nrrd", "laendo.nrrd")
    brats = folder / "MICCAI_BraTS_2019_Data_Training/LGG"
    for scan in (lists / "brats2019").glob("*.txt"):
        for name in scan.read_text().split():
            touch(brats / name, f"{name}_flair.nii.gz", f"{name}_seg.nii.gz")
    return folder


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def own_method_stands_in_the_table_and_helps(copy: Path) -> None:
    rows = read(copy / "results/tutorial/tables/mine.csv")
    dice = {row["method"]: float(row["dice_ours"]) for row in rows}
    assert set(dice) == {"vnet", "x", "mirror"}
    assert {row["seeds"] for row in rows} == {"3"}
    assert dice["mirror"] > dice["vnet"]
    assert {row["reference"] for row in rows} == {"", "vnet"}
    compared = next(row for row in read(copy / "difference.csv") if not row["scan"])
    assert (compared["metric"], float(compared["difference"])) == (
        "dice",
        pytest.approx(dice["mirror"] - dice["vnet"]),
    )
    assert (copy / "mirror.nii.gz").is_file()
    assert (copy / "results/tutorial/report.html").stat().st_size > 100_000


def own_table_has_seeds_and_selections(copy: Path) -> None:
    rows = read(copy / "results/ablation/tables/uncertain.csv")
    assert {(row["method"], row["selection"], row["seeds"]) for row in rows} == {
        (method, selection, "2")
        for method in ("nothing", "con")
        for selection in ("last", "best_on_test")
    }


def events_are_there(copy: Path) -> None:
    assert list(copy.glob("results/demo/la/labelled-4/vnet/seed-1/tensorboard/events.*"))


def masks_are_there(copy: Path) -> None:
    assert (copy / "predicted.nii.gz").is_file()


AFTERWARDS: dict[str, Callable[[Path], None]] = {
    "docs/tutorial.md": own_method_stands_in_the_table_and_helps,
    "docs/ablations.md": own_table_has_seeds_and_selections,
    "docs/monitoring.md": events_are_there,
    "docs/predict.md": masks_are_there,
}
WITH_COMMANDS = [page for page in PAGES if any(block.commands for block in blocks_of(page))]


def readmes_file(name: str) -> Block:
    (block,) = [block for block in blocks_of("config/README.md") if block.file == name]
    return block


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_of_a_page_runs(page, after_demo, scans, tmp_path):
    copy = tmp_path / COPY
    shutil.copytree(after_demo, copy, symlinks=True)
    warm_environment(copy)
    mine = readmes_file("mine.yaml").text.replace("/scans/", f"{scans}/")  # what pages call mine
    (copy / "mine.yaml").write_text(mine, encoding="utf-8")
    script = script_of(page, scans)
    clones = any("git clone" in one for block in blocks_of(page) for one in block.commands)
    done = run(script, tmp_path if clones else copy)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-4000:]
    AFTERWARDS.get(page, lambda copy: None)(copy)


def test_every_stand_in_is_needed():
    commands = set(all_commands())
    for pattern, _, why in STAND_INS:
        assert any(re.fullmatch(pattern, command) for command in commands), (pattern, why)
