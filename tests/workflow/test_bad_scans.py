"""A scan that cannot be trained on fails its job, is named, and leaves nothing behind."""

from pathlib import Path

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.slow

SCAN = "phantom scan é"


def write(path: Path, image: np.ndarray, label: np.ndarray) -> None:
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file["image"], file["label"] = image, label


def good() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    return image, (image > 1).astype(np.uint8)


def cut_off(path: Path) -> None:
    write(path, *good())
    path.write_bytes(path.read_bytes()[:2000])


def not_h5(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("<html>not found</html>")


def other_shapes(path: Path) -> None:
    image, label = good()
    write(path, image, label[:-1])


def nan_in_the_image(path: Path) -> None:
    image, label = good()
    image[3, 3, 3] = np.nan
    write(path, image, label)


def label_of_255(path: Path) -> None:
    image, label = good()
    write(path, image, label * 255)


def missing(path: Path) -> None:
    path.parent.mkdir(parents=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_off, "not a readable h5 file"),
        (not_h5, "not a readable h5 file"),
        (other_shapes, "of one shape"),
        (nan_in_the_image, "NaN"),
        (label_of_255, "allowed are 0 and 1"),
        (missing, "1 of 12 scans of the lists are not there"),
    ],
)
def test_a_bad_scan_is_named_and_nothing_half_written_stays(damage, message, tmp_path, snakemake):
    others = "".join(f"other {number}\n" for number in range(9))
    for name, content in (("train", f"{SCAN}\n{others}"), ("test", "a\nb\n")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    damage(tmp_path / "scans" / SCAN / "mri_norm2.h5")
    lists = {"train": str(tmp_path / "train"), "test": str(tmp_path / "test"), "counts": None}
    for name in (*(f"other {number}" for number in range(9)), "a", "b"):
        write(tmp_path / "scans" / name / "mri_norm2.h5", *good())
    dataset = {"source": "local", "folder": str(tmp_path / "scans"), "splits": lists}
    changes = {"datasets": {"la": dataset}}
    volume = f"results/quick/volumes/la/{SCAN}.h5"
    run = snakemake(volume, folder=tmp_path, changes=changes)
    assert run.returncode != 0
    assert message in run.stdout + run.stderr
    assert SCAN in run.stdout + run.stderr
    assert not list((tmp_path / "results/quick/volumes").rglob("*"))
