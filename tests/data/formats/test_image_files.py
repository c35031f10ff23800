"""Image files, checked against SimpleITK's own geometry."""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_scan, write_image
from tests.data.preprocessing.test_la import ORIGIN, ROTATED, SPACING, TILTED, phantom, picture


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("direction", [ROTATED, TILTED])
def test_a_mask_is_read_back_with_its_geometry(
    tmp_path: Path, name: str, direction: tuple[float, ...]
) -> None:
    mask = (phantom()[1] == 255).astype(np.uint8)

    write_image(tmp_path / name, PlacedImage(mask, SPACING, ORIGIN, direction))

    found = read_scan(tmp_path / name)
    np.testing.assert_array_equal(found.array, mask)
    np.testing.assert_allclose(found.spacing, SPACING, atol=1e-5)
    np.testing.assert_allclose(found.origin, ORIGIN, atol=1e-4)
    np.testing.assert_allclose(found.direction, direction, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_read_image_can_be_written_as_it_is(tmp_path: Path) -> None:
    write_image(tmp_path / "first.nii.gz", PlacedImage(phantom()[1], SPACING, ORIGIN, TILTED))
    first = read_scan(tmp_path / "first.nii.gz")

    write_image(tmp_path / "second.nii.gz", first)

    second = read_scan(tmp_path / "second.nii.gz")
    np.testing.assert_array_equal(second.array, first.array)
    np.testing.assert_allclose(second.origin, first.origin, atol=1e-4)


def test_a_failed_write_leaves_the_older_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mask.nii.gz"
    write_image(path, PlacedImage(phantom()[1], SPACING, ORIGIN, ROTATED))
    before = path.read_bytes()

    def full_disk(image: SimpleITK.Image, name: str, **options: str) -> None:
        Path(name).write_bytes(b"half")
        raise RuntimeError("no space left")

    monkeypatch.setattr(SimpleITK, "WriteImage", full_disk)
    with pytest.raises(OSError, match="is the disk full"):
        write_image(path, PlacedImage(phantom()[1], SPACING, ORIGIN, ROTATED))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_nifti_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.nii\.gz: no such file"):
        read_scan(tmp_path / "absent.nii.gz")


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_nifti_file_is_named(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    write_image(path, PlacedImage(phantom()[0], SPACING, ORIGIN, ROTATED))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])

    with pytest.raises(ValueError, match=rf"{name}: .*cut off"):
        read_scan(path)


def test_a_truncated_nifti_file_compressed_afterwards_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "mask.nii", PlacedImage(phantom()[0], SPACING, ORIGIN, ROTATED))
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(gzip.compress((tmp_path / "mask.nii").read_bytes()[:-100]))

    with pytest.raises(ValueError, match=r"mask\.nii\.gz: \d+ of \d+ bytes"):
        read_scan(path)


def test_an_image_scaled_by_its_header_is_read_scaled(tmp_path: Path) -> None:
    path = tmp_path / "scaled.nii"
    write_image(path, PlacedImage(phantom()[0], SPACING, ORIGIN, ROTATED))
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, 3.0], np.float32).tobytes()  # slope and intercept
    path.write_bytes(content)

    np.testing.assert_allclose(read_scan(path).array, phantom()[0] * 0.5 + 3)


def test_voxel_positions_agree_with_simpleitk() -> None:
    reference = picture(phantom()[0], TILTED)

    found = np.asarray(PlacedImage(phantom()[0], SPACING, ORIGIN, TILTED).position((3, 50, 2)))

    np.testing.assert_allclose(found, reference.TransformIndexToPhysicalPoint((3, 50, 2)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_a_full_disk_is_said_and_the_mask_that_was_there_stays(suffix, small_disk):
    path = small_disk / f"mask{suffix}"
    noise = np.random.default_rng(0).integers(0, 2, (64, 64, 64), np.uint8)
    image = PlacedImage(noise)
    write_image(path, image)
    before = path.read_bytes()
    status = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes(status.f_bavail * status.f_frsize - 8192))
    with pytest.raises(OSError, match=re.escape(str(path))):
        write_image(path, image)
    assert path.read_bytes() == before
    assert {one.name for one in small_disk.iterdir()} == {path.name, "filler"}
