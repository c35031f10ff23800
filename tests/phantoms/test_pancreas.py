from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter
from scipy.ndimage import label as components

from sgrs_core.experiment.originals import PANCREAS_LABELS
from sgrs_core.phantoms.pancreas import (
    draw_series,
    phantom_pancreas,
    write_phantom_pancreas,
)

SHAPE, SPACING = (64, 64, 40), (0.8, 0.8, 1.0)
SMALL, OBLONG = (32, 24, 12), (0.7, 0.9, 2.5)
NAMES = [f"image{number:04d}" for number in range(1, 9)]  # every kind of storage is among them


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Several small patients in the original layout."""
    folder = tmp_path_factory.mktemp("raw")
    for name in NAMES:
        write_phantom_pancreas(folder, name, SMALL, OBLONG, seed=1)
    return folder


def series_files(root: Path, name: str) -> tuple[str, ...]:
    folder = root / f"PANCREAS_{name.removeprefix('image')}"
    return SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))


def read_series(root: Path, name: str) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(series_files(root, name))
    return reader.Execute()


def read_label(root: Path, name: str) -> SimpleITK.Image:
    number = name.removeprefix("image")
    return SimpleITK.ReadImage(str(root / PANCREAS_LABELS / f"label{number}.nii.gz"))


def array(picture: SimpleITK.Image) -> np.ndarray:
    return SimpleITK.GetArrayFromImage(picture).transpose(2, 1, 0)


def header(file: str | Path) -> dict[str, str]:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    return {tag: reader.GetMetaData(tag).strip() for tag in reader.GetMetaDataKeys()}


def instances_by_position(root: Path, name: str) -> list[int]:
    return [int(header(file)["0020|0013"]) for file in series_files(root, name)]


# What a patient looks like


def test_a_phantom_follows_from_seed_and_name():
    hu, label = phantom_pancreas("a", SHAPE, SPACING, seed=1)
    again = phantom_pancreas("a", SHAPE, SPACING, seed=1)
    assert hu.dtype == np.int16
    assert label.dtype == bool
    assert np.array_equal(hu, again[0])
    assert np.array_equal(label, again[1])
    for name, seed in (("b", 1), ("a", 2)):
        assert not np.array_equal(label, phantom_pancreas(name, SHAPE, SPACING, seed)[1])


def test_a_phantom_larger_than_a_block_is_seamless():
    _, label = phantom_pancreas("a", (128, 128, 80), SPACING, seed=1)
    _, small = phantom_pancreas("a", SHAPE, SPACING, seed=1)
    halved = label[::2, ::2, ::2]
    assert 2 * (halved & small).sum() / (halved.sum() + small.sum()) > 0.8


@pytest.mark.parametrize("name", ["image0001", "image0002", "phantom_train_000"])
def test_the_pancreas_is_mostly_one_piece_of_soft_tissue_about_a_per_cent_of_the_scan(name):
    hu, label = phantom_pancreas(name, SHAPE, SPACING, seed=1)
    pieces, _ = components(label)
    assert 0.004 < label.mean() < 0.015
    assert np.bincount(pieces.ravel())[1:].max() > 0.7 * label.sum()
    assert 55 < hu[label].mean() < 115
    assert hu[label].std() < 40
    assert hu.min() < -950  # air
    assert hu.max() > 300  # bone


@pytest.mark.parametrize("name", ["image0001", "image0002", "phantom_train_000"])
def test_a_flipped_label_lies_in_other_tissue(name):
    hu, label = phantom_pancreas(name, SHAPE, SPACING, seed=1)
    for count in (1, 2, 3):
        for axes in combinations(range(3), count):
            flipped = hu[np.flip(label, axes)]
            assert abs(flipped.mean() - hu[label].mean()) > 20
            assert flipped.std() > 1.5 * hu[label].std()


def test_a_threshold_does_not_find_the_pancreas():
    hu, label = phantom_pancreas("a", SHAPE, SPACING, seed=1)
    smooth = gaussian_filter(hu.astype(np.float32), 0.7)
    lowest, highest = np.quantile(smooth[label], (0.1, 0.9))
    similar = (smooth > lowest) & (smooth < highest)
    assert (similar & ~label).sum() > 3 * (similar & label).sum()


# How its files hold it


@pytest.mark.parametrize("name", NAMES)
def test_the_series_is_read_back_with_exactly_its_hounsfield_units(root, name):
    hu, _ = phantom_pancreas(name, SMALL, OBLONG, seed=1)
    series = read_series(root, name)
    assert np.array_equal(array(series), hu[:, ::-1, ::-1])  # by position: from head to feet
    np.testing.assert_allclose(series.GetSpacing(), OBLONG)
    np.testing.assert_allclose(series.GetDirection(), np.diag([1, -1, -1]).ravel())
    last = np.multiply(OBLONG, np.subtract(SMALL, 1)) * (0, 1, 1)
    first = draw_series(name, OBLONG, seed=1)[0].origin
    np.testing.assert_allclose(series.GetOrigin(), first + last)


@pytest.mark.parametrize("name", NAMES)
def test_the_label_lies_at_the_right_place_in_the_patient(root, name):
    series, label = read_series(root, name), read_label(root, name)
    voxels = np.argwhere(array(label) == 1).tolist()
    found = np.zeros(SMALL, bool)
    for voxel in voxels:
        place = label.TransformIndexToPhysicalPoint(voxel)
        found[series.TransformPhysicalPointToIndex(place)] = True
    expected = phantom_pancreas(name, SMALL, OBLONG, seed=1)[1]
    assert np.array_equal(found, expected[:, ::-1, ::-1])
    assert len(voxels) == found.sum()


def test_some_labels_are_stored_flipped_and_some_are_not(root):
    flipped = []
    for name in NAMES:
        stored, label = array(read_label(root, name)), phantom_pancreas(name, SMALL, OBLONG, 1)[1]
        assert set(np.unique(stored)) == {0, 1}
        flipped.append(not np.array_equal(stored, label))
        if flipped[-1]:
            assert np.array_equal(stored[:, ::-1, ::-1], label)
    assert set(flipped) == {True, False}


def test_some_series_are_numbered_against_their_position(root):
    upwards = list(range(1, SMALL[2] + 1))
    orders = [instances_by_position(root, name) for name in NAMES]
    assert upwards in orders
    assert upwards[::-1] in orders
    assert all(order in (upwards, upwards[::-1]) for order in orders)
    for name, order in zip(NAMES, orders, strict=True):
        files = list(series_files(root, name))
        assert (files == sorted(files, reverse=True)) == (order == upwards[::-1])


def test_rescaling_differs_from_series_to_series(root):
    headers = [header(series_files(root, name)[0]) for name in NAMES]
    rescales = {(fields["0028|1053"], fields["0028|1052"]) for fields in headers}
    assert rescales == {("1", "-1024"), ("1", "0"), ("2", "-1024")}


def test_headers_say_what_the_archives_headers_say(root):
    fields = header(root / "PANCREAS_0001" / "1-001.dcm")
    assert fields["0008|0060"] == "CT"
    assert fields["0010|0020"] == "PANCREAS_0001"
    assert fields["0018|0050"] == "2.5"
    assert fields["0020|0037"] == r"1\0\0\0\-1\0"
    assert [float(step) for step in fields["0028|0030"].split("\\")] == [0.9, 0.7]  # rows first
    studies = {header(file)["0020|000e"] for file in (root / "PANCREAS_0001").iterdir()}
    images = {header(file)["0008|0018"] for file in (root / "PANCREAS_0001").iterdir()}
    assert len(studies) == 1
    assert len(images) == SMALL[2]
    assert header(root / "PANCREAS_0002" / "1-001.dcm")["0020|000e"] not in studies


def test_any_name_will_do(tmp_path):
    write_phantom_pancreas(tmp_path, "phantom_é 0", SMALL, OBLONG, seed=1)
    hu, _ = phantom_pancreas("phantom_é 0", SMALL, OBLONG, seed=1)
    assert np.array_equal(array(read_series(tmp_path, "phantom_é 0"))[:, ::-1, ::-1], hu)
    assert read_label(tmp_path, "phantom_é 0").GetSize() == SMALL


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_else(root, tmp_path):
    for _ in range(2):
        write_phantom_pancreas(tmp_path, "image0001", SMALL, OBLONG, seed=1)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == SMALL[2] + 1
    assert all((tmp_path / file).read_bytes() == (root / file).read_bytes() for file in files)
    assert {path.name for path in tmp_path.iterdir()} == {"PANCREAS_0001", PANCREAS_LABELS}


def test_a_failed_write_leaves_the_older_series(tmp_path, monkeypatch):
    write_phantom_pancreas(tmp_path, "image0001", SMALL, OBLONG, seed=1)

    def full_disk(writer, picture):
        raise RuntimeError("no space left")

    monkeypatch.setattr(SimpleITK.ImageFileWriter, "Execute", full_disk)
    with pytest.raises(RuntimeError, match="no space left"):
        write_phantom_pancreas(tmp_path, "image0001", SMALL, OBLONG, seed=2)
    assert len(series_files(tmp_path, "image0001")) == SMALL[2]
    assert {path.name for path in tmp_path.iterdir()} == {"PANCREAS_0001", PANCREAS_LABELS}
