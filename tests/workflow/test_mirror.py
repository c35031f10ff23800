"""Scans downloaded from a mirror, here a server on loopback, are checked and prepared."""

import shutil
import subprocess
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from sgrs_core.data.volumes import Volume, read_volume, write_volume
from tests.data.server import Server, digest, error_page
from tests.workflow.conftest import copy_project, planned
from tests.workflow.disturbed_run import wait_for

pytestmark = pytest.mark.slow

TRAIN, TEST = [f"scan {number}" for number in range(9)], ["test a", "test b"]


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server with eleven prepared scans."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    generator = np.random.default_rng(0)
    with Server().running() as server:
        for scan in TRAIN + TEST:
            image = generator.normal(size=(20, 20, 20)).astype(np.float32)
            write_volume(tmp_path / "scan.h5", Volume(image, (image > 1).astype(np.uint8)))
            server.contents[f"{scan}/mri_norm2.h5"] = (tmp_path / "scan.h5").read_bytes()
        yield server


def changes(folder: Path, server: Server) -> dict:
    for name, scans in (("train", TRAIN), ("test", TEST)):
        (folder / name).write_text("\n".join(scans))
    lines = (f"{digest(content)}  {name}\n" for name, content in server.contents.items())
    (folder / "digests").write_text("".join(lines))
    return {
        "datasets": {
            "la": {
                "source": "mirror",
                "mirror": {"url": server.url, "digests": str(folder / "digests")},
                "splits": {
                    "train": str(folder / "train"),
                    "test": str(folder / "test"),
                    "counts": {"train": len(TRAIN), "test": len(TEST)},
                },
            }
        }
    }


def test_scans_come_from_the_mirror_once(mirror, tmp_path, snakemake):
    volume = "results/quick/volumes/la/scan 3.h5"
    run = snakemake(volume, folder=tmp_path, changes=changes(tmp_path, mirror))
    assert run.returncode == 0, run.stderr[-2000:]
    held = tmp_path / "held.h5"
    held.write_bytes(mirror.contents["scan 3/mri_norm2.h5"])
    np.testing.assert_array_equal(read_volume(tmp_path / volume).image, read_volume(held).image)
    assert len(list((tmp_path / "data/la/mirror").rglob("*.h5"))) == len(TRAIN + TEST)


def test_a_changed_file_is_refused_and_the_good_ones_are_kept(mirror, tmp_path, snakemake):
    over = changes(tmp_path, mirror)
    mirror.fails("scan 5/mri_norm2.h5", error_page)
    run = snakemake("results/quick/volumes/la/scan 3.h5", folder=tmp_path, changes=over)
    assert run.returncode != 0
    assert "scan%205" in run.stdout + run.stderr
    kept = {file.parent.name for file in (tmp_path / "data/la/mirror").rglob("*.h5")}
    assert kept == set(TRAIN + TEST) - {"scan 5"}
    assert not list((tmp_path / "data/la/mirror").glob("complete*"))


def test_a_project_that_was_moved_downloads_nothing_and_one_whose_digests_were_edited_does(
    mirror, tmp_path, snakemake
):
    over = changes(tmp_path, mirror)
    over["datasets"]["la"]["mirror"]["digests"] = "digests"  # below the config folder
    projects = [tmp_path / name for name in ("here", "moved")]
    for project in projects:
        copy_project(project)
        shutil.copy(tmp_path / "digests", project / "config")

    def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
        how = ["--snakefile", str(project / "Snakefile"), *options]
        volume = "results/quick/volumes/la/scan 3.h5"
        return snakemake(volume, folder=tmp_path, changes=over, options=how)

    assert run(projects[0]).returncode == 0
    assert planned(run(projects[1], "--dry-run")) == {}
    edited = projects[1] / "config/digests"
    lines = edited.read_text().splitlines(keepends=True)
    edited.write_text("".join([f"{digest(b'corrected')}  {TRAIN[0]}/mri_norm2.h5\n", *lines[1:]]))
    assert planned(run(projects[1], "--dry-run")) == {"download_mirror": 1, "prepare": 1}


def test_of_two_that_download_into_one_folder_the_second_waits_and_asks_for_nothing(
    mirror, tmp_path, begin
):
    go_on = Event()

    def held(handler, content):
        go_on.wait(60)
        handler.answer(200, content)

    first = next(iter(mirror.contents))
    mirror.fails(first, held)
    over = {**changes(tmp_path, mirror), "data_folder": str(tmp_path / "shared")}
    how = {"changes": over}
    volume, folders = "results/quick/volumes/la/scan 3.h5", [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with begin(volume, folder=folders[0], **how) as one:
        wait_for(lambda: mirror.asked[first] == 1)
        with begin(volume, folder=folders[1], **how) as other:
            logs = folders[1] / "results/quick/logs/la"
            wait_for(lambda: any("waiting" in log.read_text() for log in logs.glob("down*")), 60)
            go_on.set()
            ended = [started.end(timeout=120) for started in (one, other)]
    assert [run.returncode for run in ended] == [0, 0], ended[1].stderr[-2000:]
    assert set(mirror.asked.values()) == {1}
