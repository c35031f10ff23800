"""The h5 exchange format, and files that appear whole or not at all."""

import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import IDENTITY_DIRECTION
from sgrs_core.data.volumes import Axes, Volume, read_volume, write_volume
from sgrs_core.files import atomic

SHAPE = (6, 7, 8)


@pytest.fixture
def volume() -> Volume:
    generator = np.random.default_rng(0)
    return Volume(
        image=generator.normal(size=SHAPE).astype(np.float32),
        label=generator.integers(0, 2, SHAPE).astype(np.uint8),
        spacing=(0.625, 0.7, 1.25),
        origin=(-12.5, 3.0, 80.25),
        direction=(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        provenance={"margins": "10 11 12 13", "ä": "ö"},
    )


def write_mirror(path: Path, **datasets: NDArray[Any]) -> None:
    """A file as the public mirrors hold it: datasets only, no attributes."""
    with h5py.File(path, "w") as file:
        for name, array in datasets.items():
            file.create_dataset(name, data=array, compression="gzip")


# Reading what was written


def test_a_file_of_others_stored_z_first_is_turned_and_ours_is_not(
    volume: Volume, tmp_path: Path
) -> None:
    write_mirror(tmp_path / "theirs.h5", image=volume.image.T, label=volume.label.T)
    write_volume(tmp_path / "ours.h5", volume)

    for name in ("theirs.h5", "ours.h5"):
        found = read_volume(tmp_path / name, axes="zyx")
        np.testing.assert_array_equal(found.image, volume.image)
        np.testing.assert_array_equal(found.label, volume.label)


def test_a_written_volume_is_read_back_equal(volume: Volume, tmp_path: Path) -> None:
    write_volume(tmp_path / "scan.h5", volume)

    found = read_volume(tmp_path / "scan.h5")

    np.testing.assert_array_equal(found.image, volume.image)
    np.testing.assert_array_equal(found.label, volume.label)
    assert found.image.dtype == np.float32
    assert found.label.dtype == np.uint8
    for name in ("spacing", "origin", "direction", "provenance"):
        assert getattr(found, name) == getattr(volume, name)


def test_folders_are_made_on_the_way_and_nothing_else_is_left(
    volume: Volume, tmp_path: Path
) -> None:
    path = tmp_path / "prepared" / "la" / "scan.h5"

    write_volume(path, volume)

    assert list(path.parent.iterdir()) == [path]


def test_arrays_are_stored_compressed(volume: Volume, tmp_path: Path) -> None:
    write_volume(tmp_path / "scan.h5", volume)

    with h5py.File(tmp_path / "scan.h5") as file:
        assert {name: file[name].compression for name in file} == {"image": "gzip", "label": "gzip"}


def test_a_mirrors_file_without_attributes_gets_the_given_spacing(tmp_path: Path) -> None:
    path = tmp_path / "mri_norm2.h5"
    write_mirror(path, image=np.ones(SHAPE, np.float32), label=np.ones(SHAPE, np.uint8))

    found = read_volume(path, spacing=(0.625, 0.625, 0.625))

    assert found.spacing == (0.625, 0.625, 0.625)
    assert found.origin == (0.0, 0.0, 0.0)
    assert found.direction == IDENTITY_DIRECTION
    assert found.provenance == {}


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.bool_])
def test_labels_of_any_number_type_become_uint8(kind: type, tmp_path: Path) -> None:
    label = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 2
    write_mirror(tmp_path / "scan.h5", image=np.ones(SHAPE), label=label.astype(kind))

    found = read_volume(tmp_path / "scan.h5")

    assert found.image.dtype == np.float32
    assert found.label.dtype == np.uint8
    np.testing.assert_array_equal(found.label, label)


# Files that cannot be read


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.h5: scan not found"):
        read_volume(tmp_path / "absent.h5")


def test_a_truncated_file_is_named(volume: Volume, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    write_volume(path, volume)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ValueError, match=r"scan\.h5: not a readable h5 file .* cut off"):
        read_volume(path)


def test_a_file_with_damaged_data_is_named(volume: Volume, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    write_volume(path, volume)
    with h5py.File(path) as file:
        chunk = file["image"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"scan\.h5: not a readable h5 file"):
        read_volume(path)


@pytest.mark.parametrize("content", [b"", b"<html>404: Not Found</html>"])
def test_a_file_that_is_not_h5_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"scan\.h5: not a readable h5 file"):
        read_volume(path)


def test_a_file_without_an_image_is_named(tmp_path: Path) -> None:
    write_mirror(tmp_path / "scan.h5", label=np.ones(SHAPE))

    with pytest.raises(ValueError, match=r"scan\.h5: .*a dataset 'image'"):
        read_volume(tmp_path / "scan.h5")


@pytest.mark.parametrize("axes", ["xyz", "zyx"])
def test_a_scan_that_nobody_labelled_is_read_and_misses_its_label_when_asked(
    axes: Axes, tmp_path: Path
) -> None:
    write_mirror(tmp_path / "scan.h5", image=np.arange(np.prod(SHAPE)).reshape(SHAPE))
    write_volume(tmp_path / "ours.h5", read_volume(tmp_path / "scan.h5", axes=axes))

    found = read_volume(tmp_path / "ours.h5")
    assert found.label is None
    with pytest.raises(ValueError, match="has no label"):
        found.mask  # noqa: B018


def test_a_dataset_that_is_no_array_of_numbers_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["image"] = "text"
        file["label"] = np.ones(SHAPE)

    with pytest.raises(ValueError, match=r"scan\.h5: not a readable h5 file"):
        read_volume(tmp_path / "scan.h5")


@pytest.mark.parametrize(
    ("name", "value"),
    [("spacing", 1.0), ("spacing", "1 1 1"), ("origin", "here"), ("direction", b"LPS"),
     ("provenance", "{no json"), ("provenance", 7.0)],
)  # fmt: skip
def test_an_attribute_that_is_not_what_it_should_be_is_named(name, value, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["image"] = np.random.default_rng(0).normal(size=(3, 4, 5))
        file.attrs[name] = value
    with pytest.raises(ValueError, match=rf"scan\.h5: .*attribute '{name}'"):
        read_volume(tmp_path / "scan.h5")


@pytest.mark.parametrize("way", ["link", "soft link", "storage", "virtual"])
def test_values_in_another_file_are_not_fetched(way: str, tmp_path: Path) -> None:
    write_mirror(tmp_path / "other.h5", image=np.ones(SHAPE), label=np.ones(SHAPE))
    (tmp_path / "raw").write_bytes(np.random.default_rng(0).bytes(4 * np.prod(SHAPE)))
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["label"] = np.ones(SHAPE)
        if way == "link":
            file["image"] = h5py.ExternalLink("other.h5", "image")
        elif way == "soft link":
            file["apart"] = h5py.ExternalLink("other.h5", "/")
            file["image"] = h5py.SoftLink("/apart/image")
        elif way == "storage":
            place = [(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("image", SHAPE, np.float32, external=place)
        else:
            layout = h5py.VirtualLayout(SHAPE, np.float32)
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "image", SHAPE)
            file.create_virtual_dataset("image", layout)

    with pytest.raises(ValueError, match=r"scan\.h5: .*'image'.* (another file|lie in)"):
        read_volume(tmp_path / "scan.h5")


# Values no training should see


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (np.ones((6, 7, 8)), np.ones((6, 7, 9)), "of one shape"),
        (np.ones((6, 7)), np.ones((6, 7)), "must be 3D"),
        (np.full(SHAPE, np.nan), np.ones(SHAPE), "NaN or infinite"),
        (np.full(SHAPE, -np.inf), np.ones(SHAPE), "NaN or infinite"),
        (np.ones(SHAPE), np.full(SHAPE, 255), r"label values \[255\], allowed are 0 and 1"),
        (np.ones(SHAPE), np.full(SHAPE, -1), r"label values \[-1\]"),
        (np.ones(SHAPE), np.full(SHAPE, 0.5), r"label values \[0\.5\]"),
        (np.ones(SHAPE), np.full(SHAPE, np.nan), r"label values \[nan\]"),
    ],
)
def test_unusable_arrays_are_refused_when_read_and_when_written(
    image: NDArray[Any], label: NDArray[Any], message: str, tmp_path: Path
) -> None:
    read, written = tmp_path / "read.h5", tmp_path / "written.h5"
    write_mirror(read, image=image, label=label)

    with pytest.raises(ValueError, match=rf"read\.h5: .*{message}"):
        read_volume(read)
    with pytest.raises(ValueError, match=rf"written\.h5: .*{message}"):
        write_volume(written, Volume(image=image, label=label))
    assert not written.exists()


# Nothing half-written


def test_a_failed_write_leaves_the_folder_empty(volume: Volume, tmp_path: Path) -> None:
    unwritable = replace(volume, provenance={"when": object()})  # type: ignore[dict-item]

    with pytest.raises(TypeError):
        write_volume(tmp_path / "scan.h5", unwritable)

    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_is_told_with_the_files_name(volume: Volume, tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # bytes, as on a disk that is full
    try:
        with pytest.raises(OSError, match=r"File too large: '.*scan\.h5'"):
            write_volume(tmp_path / "scan.h5", volume)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_older_file_as_it_was(volume: Volume, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    write_volume(path, volume)
    before = path.read_bytes()

    with pytest.raises(TypeError):
        write_volume(path, replace(volume, provenance={"when": object()}))  # type: ignore[dict-item]

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_appears_only_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"

    with atomic(path) as temporary:
        temporary.write_text("a")
        assert not path.exists()
        assert temporary.suffix == ".csv"

    assert path.read_text() == "a"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_block_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic(tmp_path / "table.csv") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []
