"""`tensorboard: true` writes the log's rows as event files, each once, and changes nothing else."""

import csv
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.workflow.conftest import ENVIRONMENT, one_run, with_volumes_of

pytestmark = pytest.mark.slow

RUN = "results/quick/la/labelled-4/sgrs/seed-0"
MODEL = f"{RUN}/model.pt"
PLAIN = one_run(iterations=120, checkpoint_every=7)
WATCHED = {**PLAIN, "tensorboard": True}


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(iteration, value) of every event of every curve, as TensorBoard reads them."""
    files = EventAccumulator(str(folder / RUN / "tensorboard"), size_guidance={"scalars": 0})
    files.Reload()
    curves = files.Tags()["scalars"]
    return {name: [(one.step, one.value) for one in files.Scalars(name)] for name in curves}


def is_half_way(folder: Path) -> bool:
    """Whether there is a checkpoint, and events of iterations after it."""
    checkpoints = sorted((folder / RUN / "unfinished").glob("checkpoint-*.pt"))
    if not checkpoints or not (folder / RUN / "tensorboard").exists():
        return False
    return len(events(folder).get("loss", [])) > 10


@pytest.fixture(scope="module")
def plain(finished) -> Path:
    """A run without TensorBoard."""
    return finished("plain", MODEL, changes=PLAIN)


@pytest.fixture(scope="module")
def watched(plain, tmp_path_factory, begin, snakemake) -> Path:
    """A run with TensorBoard that is killed on its way, and started again."""
    folder = with_volumes_of(plain, tmp_path_factory.mktemp("watched ä"))
    with begin(MODEL, folder=folder, changes=WATCHED) as first:
        until = time.monotonic() + 120
        while not is_half_way(folder):
            assert first.is_alive, "it ended before it was seen to write events"
            assert time.monotonic() < until, "no events while it trains"
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGKILL)
        first.end()
    run = snakemake(MODEL, folder=folder, changes=WATCHED)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def test_after_a_kill_and_a_resume_the_event_files_hold_the_rows_of_the_log_once(watched):
    assert "going on after iteration" in (watched / RUN / "train.log").read_text(encoding="utf-8")
    with (watched / RUN / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = events(watched)
    assert set(found) == set(rows[0]) - {"iteration"}
    for name, curve in found.items():
        assert [step for step, _ in curve] == [int(row["iteration"]) for row in rows]
        logged = [float(row[name]) for row in rows]
        assert [value for _, value in curve] == pytest.approx(logged, rel=1e-6)


def test_a_watched_run_has_the_weights_of_one_that_is_not(watched, plain):
    expected, found = (
        torch.load(folder / MODEL, weights_only=True)["weights"]["last"]
        for folder in (plain, watched)
    )
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not (plain / RUN / "tensorboard").exists()


def test_the_setting_trains_nothing_anew(watched, snakemake):
    again = snakemake(MODEL, folder=watched, changes=PLAIN, options=["--dry-run"])
    assert "Nothing to be done" in again.stdout + again.stderr


def test_without_the_package_a_run_stops_before_training_and_says_what_to_do(
    plain, command, tmp_path
):
    package = tmp_path / "lacking" / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('No module named tensorboard')")
    searched = filter(None, [str(package.parent), os.environ.get("PYTHONPATH")])
    run = subprocess.run(
        command(MODEL, folder=with_volumes_of(plain, tmp_path), changes=WATCHED),
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(searched)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert run.returncode != 0
    assert "tensorboard: true, but the package tensorboard cannot be imported" in run.stderr
    assert "install '.[tensorboard]', or set tensorboard: false" in run.stderr
    assert not (tmp_path / RUN / "unfinished").exists()
