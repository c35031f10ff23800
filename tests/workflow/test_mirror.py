"""Scans downloaded from a mirror, here a server on loopback, are checked and prepared."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sgrs_core.data.volumes import Volume, read_volume, write_volume
from sgrs_core.files import sha256_of

pytestmark = pytest.mark.slow

TRAIN, TEST = [f"scan {number}" for number in range(9)], ["test a", "test b"]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path):
    """The address of a server with eleven prepared scans, and the folder it serves."""
    folder = tmp_path / "served"
    generator = np.random.default_rng(0)
    for scan in TRAIN + TEST:
        image = generator.normal(size=(20, 20, 20)).astype(np.float32)
        write_volume(folder / scan / "mri_norm2.h5", Volume(image, (image > 1).astype(np.uint8)))
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def changes(folder: Path, url: str, served: Path) -> dict:
    for name, scans in (("train", TRAIN), ("test", TEST)):
        (folder / name).write_text("\n".join(scans))
    files = sorted(served.rglob("*.h5"))
    lines = (f"{sha256_of(file)}  {file.relative_to(served)}\n" for file in files)
    (folder / "digests").write_text("".join(lines))
    return {
        "datasets": {
            "la": {
                "source": "mirror",
                "mirror": {"url": url, "digests": str(folder / "digests")},
                "splits": {
                    "train": str(folder / "train"),
                    "test": str(folder / "test"),
                    "counts": {"train": len(TRAIN), "test": len(TEST)},
                },
            }
        }
    }


def test_scans_come_from_the_mirror_once(mirror, tmp_path, snakemake):
    url, served = mirror
    volume = "results/quick/volumes/la/scan 3.h5"
    run = snakemake(volume, folder=tmp_path, changes=changes(tmp_path, url, served))
    assert run.returncode == 0, run.stderr[-2000:]
    prepared = read_volume(tmp_path / volume)
    np.testing.assert_array_equal(prepared.image, read_volume(served / "scan 3/mri_norm2.h5").image)
    assert len(list((tmp_path / "data/la/mirror").rglob("*.h5"))) == len(TRAIN + TEST)


def test_a_changed_file_is_refused_and_the_good_ones_are_kept(mirror, tmp_path, snakemake):
    url, served = mirror
    over = changes(tmp_path, url, served)
    (served / "scan 5/mri_norm2.h5").write_bytes(b"<html>quota exceeded</html>")
    run = snakemake("results/quick/volumes/la/scan 3.h5", folder=tmp_path, changes=over)
    assert run.returncode != 0
    assert "scan%205" in run.stdout + run.stderr
    kept = {file.parent.name for file in (tmp_path / "data/la/mirror").rglob("*.h5")}
    assert kept == set(TRAIN + TEST) - {"scan 5"}
    assert not (tmp_path / "data/la/mirror/complete.txt").exists()
