import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from sgrs_core.data.prepared import (
    check_unchanged,
    list_prepared,
    listed_digests,
    read_prepared,
)
from sgrs_core.data.volumes import Volume, write_volume

IMAGE = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
GOOD = Volume(IMAGE, (IMAGE > 1).astype(np.uint8))
EMPTY = np.zeros((4, 5, 6), np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where prepared scans lie beside their list, as in an experiment's results."""
    for name in ("a", "b"):
        write_volume(tmp_path / f"la/{name}.h5", GOOD)
    return tmp_path


def files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted((folder / "la").glob("*.h5"))}


def listed(folder: Path, labelled=("a", "b")) -> str:
    path = folder / "la.train.sha256"
    list_prepared(path, list(files(folder).values()), labelled)
    return str(path)


def test_scans_that_can_serve_are_listed_and_found_unchanged(folder):
    digests = listed_digests(files(folder), [listed(folder)])
    assert list(digests) == ["a", "b"]
    check_unchanged(files(folder), digests)


@pytest.mark.parametrize(
    ("scan", "cause"),
    [
        (replace(GOOD, image=np.full_like(IMAGE, 3)), "all its voxels are 3: the image is empty"),
        (replace(GOOD, label=EMPTY), "its label is empty, and it is a labelled or a test scan"),
        (replace(GOOD, label=None), "it has no label, and it is a labelled or a test scan"),
    ],
)
def test_scans_that_cannot_serve_are_all_named_before_anything_is_listed(scan, cause, folder):
    write_volume(folder / "la/b.h5", scan)
    write_volume(folder / "la/c.h5", scan)
    with pytest.raises(ValueError, match=r"2 of 3 scans cannot serve: .*b\.h5: .*") as refusal:
        listed(folder, ("a", "b", "c"))
    for name in ("b", "c"):
        assert f"{folder}/la/{name}.h5: {cause}" in str(refusal.value)
    assert not (folder / "la.train.sha256").exists()


@pytest.mark.parametrize(("scale", "is_told"), [(0.1, False), (3, False), (500, True)])
def test_raw_intensities_are_warned_of(scale, is_told, folder, caplog):
    write_volume(folder / "la/b.h5", replace(GOOD, image=IMAGE * np.float32(scale) + 7))
    listed(folder)
    assert ("b.h5: its values deviate by" in caplog.text) == is_told


def test_one_image_under_two_names_is_warned_of_in_one_list_and_across_lists(folder, caplog):
    listed(folder)
    assert f"{folder}/la/a.h5, {folder}/la/b.h5: one image under two names" in caplog.text
    caplog.clear()
    write_volume(folder / "la/b.h5", replace(GOOD, image=IMAGE[::-1]))
    listed(folder)
    assert "two names" not in caplog.text
    write_volume(twin := folder / "elsewhere/c.h5", replace(GOOD, label=None))
    (damaged := folder / "elsewhere/d.h5").write_bytes(b"cut")
    every = [*files(folder).values()]
    absent = folder / "elsewhere/e.h5"
    list_prepared(folder / "la.train.sha256", every, ["a", "b"], [twin, damaged, absent, twin])
    assert f"{folder}/la/a.h5, {twin}: one image under two names" in caplog.text


@pytest.mark.parametrize(("side", "is_told"), [(1.005, False), (1.25, True), (0.5, True)])
def test_voxels_of_several_sizes_are_warned_of(side, is_told, folder, caplog):
    write_volume(folder / "la/b.h5", replace(GOOD, spacing=(1.0, 1.0, side)))
    listed(folder)
    assert (f"{folder}/la/b.h5 [1.0, 1.0, {side}]" in caplog.text) == is_told
    assert ("voxels differ in size (mm)" in caplog.text) == is_told


def test_a_scan_without_slices_is_named(folder):
    with h5py.File(folder / "la/b.h5", "w") as file:
        file["image"], file["label"] = IMAGE[:, :, :0], EMPTY[:, :, :0]
    with pytest.raises(ValueError, match=r"la/b\.h5: it has no voxels"):
        listed(folder)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("spacing", [1.0, 0.0, 1.0]),
        ("spacing", [1.0, np.nan, 1.0]),
        ("spacing", [1.0, 1.0]),
        ("direction", [1.0] * 9),
        ("direction", [0.0] * 9),
        ("direction", [1.0, 0.0, 0.0]),
        ("origin", [0.0, np.inf, 0.0]),
    ],
)
def test_geometry_that_no_grid_has_is_refused_before_training(attribute, value, folder):
    with h5py.File(folder / "la/b.h5", "a") as file:
        file.attrs[attribute] = value
    with pytest.raises(ValueError, match=rf"la/b\.h5: .*{attribute}"):
        listed(folder)


@pytest.mark.parametrize("label", [EMPTY, None])
def test_a_label_that_nothing_uses_may_be_empty_or_missing(label, folder):
    write_volume(folder / "la/b.h5", replace(GOOD, label=label))
    assert Path(listed(folder, labelled=("a",))).is_file()


def test_a_label_that_a_run_is_the_first_to_use_is_asked_for_when_it_is_read(folder):
    write_volume(folder / "la/b.h5", replace(GOOD, label=EMPTY))
    listed(folder, labelled=("a",))
    read_prepared(folder / "la/b.h5", label_is_used=False)
    with pytest.raises(ValueError, match=r"la/b\.h5: its label is empty, and it is a labelled"):
        read_prepared(folder / "la/b.h5", label_is_used=True)


def test_a_scan_that_was_changed_after_it_was_listed_is_named(folder):
    digests = listed_digests(files(folder), [listed(folder)])
    write_volume(folder / "la/b.h5", replace(GOOD, image=IMAGE + 1))
    message = f"{folder}/la/b.h5: it was changed after it was listed"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_unchanged(files(folder), digests)


def test_a_scan_that_no_list_has_is_named(folder):
    path = listed(folder)
    write_volume(folder / "la/c.h5", GOOD)
    with pytest.raises(ValueError, match=r"la/c\.h5: stands in no list"):
        listed_digests(files(folder), [path])
