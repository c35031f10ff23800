"""A run killed at any moment and started again ends with the bits of an undisturbed one."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.workflow.conftest import ENVIRONMENT

pytestmark = pytest.mark.slow

MODEL = "results/quick/la/labelled-4/sgrs/seed-0/last/model.pt"
VOLUMES = "results/quick/volumes"
CHANGES = {
    "datasets": {"la": {"training": {"iterations": 40, "checkpoint_every": 5}}},
    "selections": ["last"],
    "tables": {"table2": {"labelled": [4], "methods": ["sgrs"]}},
    "figures": {},
    "headline": ["table2"],
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / MODEL, weights_only=True)["weights"]


def kill_group(process: subprocess.Popen) -> None:
    """SIGKILL Snakemake and all it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, snakemake) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run = snakemake(MODEL, folder=folder, changes=CHANGES)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def test_kill_9_of_snakemake_and_its_jobs_while_training(undisturbed, command, snakemake, tmp_path):
    # The scans are prepared already: only the training is killed.
    shutil.copytree(undisturbed / VOLUMES, tmp_path / VOLUMES, copy_function=shutil.copy2)
    checkpoint = tmp_path / MODEL.replace("last/model.pt", "unfinished/checkpoint.pt")
    generator = random.Random(0)
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            command(MODEL, folder=tmp_path, changes=CHANGES),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.poll() is None:
            written = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            if written > before:
                time.sleep(generator.uniform(0, 0.5))
                break
            time.sleep(0.01)
        if process.poll() is None:
            kill_group(process)
            kills += 1
    assert kills
    run = snakemake(MODEL, folder=tmp_path, changes=CHANGES)
    assert run.returncode == 0, run.stderr[-3000:]
    log = (tmp_path / MODEL.replace("last/model.pt", "train.log")).read_text()
    assert "going on after iteration" in log
    expected, resumed = weights(undisturbed), weights(tmp_path)
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    same_log = [
        (folder / MODEL.replace("last/model.pt", "log.csv")).read_text()
        for folder in (undisturbed, tmp_path)
    ]
    assert same_log[0] == same_log[1]
    assert not checkpoint.parent.exists()
