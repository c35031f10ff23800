"""Trainings side by side get a GPU each, of those that a stand-in for nvidia-smi lists."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.workflow.conftest import ENVIRONMENT, with_volumes_of

pytestmark = pytest.mark.slow

CHANGES = {
    "datasets": {"la": {"training": {"iterations": 60}}},
    "selections": ["last"],
    "tables": {"table2": {"labelled": [4], "methods": ["vnet", "dtc", "sgrs"]}},
    "figures": {},
    "headline": ["table2"],
}


@pytest.fixture
def two_gpus(tmp_path) -> dict[str, str]:
    """The environment of a machine with two GPUs."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 0, GPU-aa\necho 1, GPU-bb\n")
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    return {**ENVIRONMENT, "PATH": path, "TMPDIR": str(tmp_path)}


def gpus_over_time(folder: Path) -> list[tuple[str, str]]:
    """(time, GPU) of each job that got one, in the order of time."""
    found = []
    for log in folder.glob("results/quick/la/labelled-4/*/seed-0/train.log"):
        found += re.findall(r"^(\S+ \S+) INFO GPU (\S+)$", log.read_text(), re.MULTILINE)
    return sorted(found)


def test_two_trainings_at_once_have_different_gpus_and_a_third_takes_a_free_one(
    two_gpus, command, prepared, tmp_path
):
    models = [
        f"results/quick/la/labelled-4/{method}/seed-0/model.pt"
        for method in ("vnet", "dtc", "sgrs")
    ]
    options = ["--cores", "3", "--resources", "gpu=2"]
    folder = with_volumes_of(prepared, tmp_path)
    call = command(*models, folder=folder, changes=CHANGES, options=options)
    run = subprocess.run(call, env=two_gpus, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    gpus = [gpu for _, gpu in gpus_over_time(tmp_path)]
    assert len(gpus) == 3
    assert set(gpus[:2]) == {"GPU-aa", "GPU-bb"}


def test_asked_for_cuda_where_there_is_none_a_run_stops_and_names_the_setting(
    snakemake, prepared, tmp_path
):
    changes = {**CHANGES, "datasets": {"la": {"training": {"device": "cuda"}}}}
    target = "results/quick/la/labelled-4/vnet/seed-0/model.pt"
    folder = with_volumes_of(prepared, tmp_path)
    run = snakemake(target, folder=folder, changes=changes)
    assert run.returncode != 0
    assert "device cuda: torch sees no CUDA device; ask for cpu or auto" in run.stderr


def test_the_old_name_of_the_number_of_runs_that_share_a_gpu_is_taken_with_a_warning(
    snakemake, tmp_path
):
    run = snakemake(folder=tmp_path, changes={"runs_per_card": 2}, options=["--dry-run"])
    assert run.returncode == 0, run.stderr[-3000:]
    assert "runs_per_card is called runs_per_gpu now" in run.stdout  # of a dry run
    assert "submitted" not in run.stderr
