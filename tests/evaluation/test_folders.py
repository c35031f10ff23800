"""Which scans a path means."""

from pathlib import Path

import numpy as np
import pytest

from sgrs_core.evaluation.folders import name_of, scans_of
from tests.data.formats.writing import affine_of, write_dicom

AFFINE = affine_of((0.8, 0.7, 2.0), (5.0, -6.0, 7.0), np.eye(3))
ARRAY = np.arange(8 * 7 * 6, dtype=np.int16).reshape(8, 7, 6)


@pytest.fixture
def series(tmp_path) -> Path:
    """A patient's folder in which one series lies two folders deep."""
    write_dicom(tmp_path / "patient/study/series", ARRAY, AFFINE)
    return tmp_path / "patient"


def test_a_folder_is_one_series_however_deep_and_divided_it_lies(series):
    inner = series / "study/series"
    for folder in (series, series / "study", inner):
        assert scans_of(folder) == [folder]
    (series / "more").mkdir()
    for file in sorted(inner.iterdir())[:2]:
        file.rename(series / "more" / file.name)
    assert scans_of(series) == [series]


def test_folders_of_several_series_are_a_scan_each(series):
    write_dicom(series.parent / "other", ARRAY, AFFINE)
    assert scans_of(series.parent) == [series.parent / "other", series]


def test_images_beside_the_slices_do_not_make_a_series_a_folder(series):
    inner = series / "study/series"
    (inner / "mask.nii.gz").touch()
    assert scans_of(inner) == [inner]


def test_a_path_that_is_no_scan_stands_for_itself(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert scans_of(tmp_path) == [tmp_path]
    assert scans_of(tmp_path / "gone.nii") == [tmp_path / "gone.nii"]


def test_a_link_is_a_scan_of_its_own_name_and_not_of_what_it_leads_to(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "scans").mkdir()
    for name in ("one.nii.gz", "two.h5", "three"):
        target = tmp_path / f"store/{len(name)}.nrrd"
        target.touch()
        (tmp_path / "scans" / name).symlink_to(target)
    assert [name_of(path) for path in scans_of(tmp_path / "scans")] == ["one", "two"]
    assert name_of(tmp_path / "scans/three") == "three"


def test_a_folder_given_by_dots_has_the_name_of_its_place(series, monkeypatch):
    monkeypatch.chdir(series / "study/series")
    names = {".": "series", "..": "study", "../..": "patient"}
    assert {place: name_of(Path(place)) for place in names} == names


def test_prepared_scans_and_headers_with_data_of_their_own_are_scans_by_their_names(tmp_path):
    for name in ("b.v1.h5", "a.mhd", "a.raw"):
        (tmp_path / name).touch()
    found = scans_of(tmp_path)
    assert [path.name for path in found] == ["a.mhd", "b.v1.h5"]
    assert list(map(name_of, found)) == ["a", "b.v1"]
