"""Scans that are not there are named before any job starts; withdrawn ones are left out."""

from pathlib import Path

import numpy as np
import pytest

from sgrs_core.data.volumes import Volume, write_volume
from sgrs_core.experiment.presence import absent_scans, check_presence
from sgrs_core.experiment.schema import Dataset, Splits
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings
from sgrs_core.experiment.splits import SplitLists

LISTS = SplitLists(("image0001", "image0002", "image0070"), ("image0025",), ())
HALVED = {"downsample": "2"}
ARCHIVES = {
    "tcia": {"api": "http://server", "collection": "Pancreas-CT"},
    "idc": {"bucket": "http://server", "series": "idc.csv"},
    "labels": {"url": "http://server/labels.zip"},
}


def dataset(**keys) -> Dataset:
    return Dataset(
        title="test",
        format="pancreas",
        splits=Splits(train=list(LISTS.train), test=list(LISTS.test)),
        withdrawn={"scans": ["image0025", "image0070"], "why": "withdrawn"},
        prepared_file="{scan}_norm.h5",
        access="Ask the owner.",
        training=TrainingSettings(),
        inference=InferenceSettings(),
        **keys,
    )


def fill(folder: Path, *numbers: int) -> str:
    """A folder with some patients in TCIA's layout and, prepared, in the mirror's."""
    labels = folder / "TCIA_pancreas_labels-02-05-2017"
    labels.mkdir(parents=True)
    for number in numbers:
        (folder / f"PANCREAS_{number:04d}").mkdir()
        (labels / f"label{number:04d}.nii.gz").touch()
        (folder / f"image{number:04d}_norm.h5").touch()
    return str(folder)


@pytest.mark.parametrize("source", ["raw", "local"])
def test_withdrawn_scans_are_absent_where_the_folder_lacks_them(source, tmp_path):
    one = dataset(source=source, folder=fill(tmp_path / "a b", 1, 2, 70))
    assert absent_scans(one, LISTS, tmp_path) == ("image0025",)
    check_presence(one, LISTS._replace(absent=("image0025",)), tmp_path)


@pytest.mark.parametrize("source", ["raw", "local"])
def test_another_missing_scan_is_named_with_the_files_it_should_have(source, tmp_path):
    one = dataset(source=source, folder=fill(tmp_path, 1, 25, 70))
    with pytest.raises(
        ValueError, match=r"1 of 4 scans .* not there: image0002; looked for .*0002"
    ):
        check_presence(one, LISTS, tmp_path)


def test_scans_that_came_downsampled_are_not_so_again(tmp_path):
    one = dataset(source="local", folder=fill(tmp_path, 1, 2, 25, 70), downsample=2)
    check_presence(one, LISTS, tmp_path)
    image = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    write_volume(tmp_path / "image0001_norm.h5", Volume(image, None, provenance=HALVED))
    with pytest.raises(ValueError, match=r"downsample = 2: .*0001_norm\.h5 came downsampled by 2"):
        check_presence(one, LISTS, tmp_path)
    check_presence(one.model_copy(update={"downsample": 1}), LISTS, tmp_path)


@pytest.mark.parametrize("source", ["tcia", "idc"])
def test_a_download_from_their_owner_lacks_all_withdrawn_scans(source, tmp_path):
    one = dataset(source=source, **ARCHIVES)
    assert set(absent_scans(one, LISTS, tmp_path)) == {"image0025", "image0070"}
    check_presence(one, LISTS, tmp_path)


def test_a_folder_needs_the_label_files_that_are_asked_for(tmp_path):
    folder = fill(tmp_path, 1, 2, 25, 70)
    keys = {"source": "raw", "folder": folder, "label_files": "dicom_seg"}
    with pytest.raises(ValueError, match=r"4 of 4 .* looked for .*Pancreas-CT-SEG/PANCREAS_0001"):
        check_presence(dataset(**keys), LISTS, tmp_path)
    for number in (1, 2, 25, 70):
        (tmp_path / f"Pancreas-CT-SEG/PANCREAS_{number:04d}").mkdir(parents=True)
    check_presence(dataset(**keys), LISTS, tmp_path)


@pytest.mark.parametrize(("label_files", "key"), [("nifti", "labels"), ("dicom_seg", "idc")])
def test_a_download_needs_to_know_where_its_labels_are(label_files, key):
    keys = {"source": "tcia", "label_files": label_files, **ARCHIVES, key: None}
    with pytest.raises(ValueError, match=rf"{key} = None: label_files = {label_files} needs"):
        dataset(**keys)


def test_phantoms_have_no_dicom_labels():
    phantom = {
        "train_scans": 2,
        "test_scans": 1,
        "seed": 0,
        "shape": (40, 36, 20),
        "spacing": (1, 1, 1),
    }
    keys = {"source": "phantom", "phantom": phantom, "label_files": "dicom_seg"}
    with pytest.raises(ValueError, match="label_files = dicom_seg: allowed for source = phantom"):
        dataset(**keys)


def test_a_mirror_has_what_its_list_has(tmp_path):
    names = [f"image{number:04d}_norm.h5" for number in (1, 2, 25, 70)]
    (tmp_path / "digests").write_text("".join(f"{'0' * 40}  {name}\n" for name in names[:3]))
    one = dataset(source="mirror", mirror={"url": "http://server", "digests": "digests"})
    assert absent_scans(one, LISTS, tmp_path) == ("image0070",)
    with pytest.raises(ValueError, match=r"mirror.digests = 'digests': 1 of 4 .*image0070"):
        check_presence(one, LISTS, tmp_path)


def test_a_mirrors_list_that_is_not_there_is_named_with_its_key(tmp_path):
    one = dataset(source="mirror", mirror={"url": "http://server", "digests": "../digests"})
    with pytest.raises(ValueError, match=r"mirror.digests = '../digests': no such file below"):
        check_presence(one, LISTS, tmp_path)


def test_a_folder_that_does_not_exist_says_how_to_get_the_files(tmp_path):
    one = dataset(source="raw", folder=str(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"none': no such folder\. Ask the owner\."):
        check_presence(one, LISTS, tmp_path)


def own(folder: Path, labels: tuple[str, ...]) -> Dataset:
    """A data set of one's own in a folder, with images of the scans in LISTS and some labels."""
    for part, names in (("images", LISTS.scans()), ("labels", labels)):
        (folder / part).mkdir()
        for name in names:
            (folder / part / f"{name}.nii.gz").touch()
    return Dataset(
        title="test",
        format="nifti",
        source="raw",
        folder=str(folder),
        nifti={},
        splits=Splits(train=list(LISTS.train), test=list(LISTS.test)),
        training=TrainingSettings(),
        inference=InferenceSettings(),
    )


def test_only_labels_that_are_used_must_be_there(tmp_path):
    one = own(tmp_path, ("image0001", "image0025"))
    check_presence(one, LISTS, tmp_path, ("image0001", "image0025"))
    assert one.files_of("image0002") == [str(tmp_path / "images/image0002.nii.gz")]
    with pytest.raises(
        ValueError,
        match=r"2 scans that need a label have none: image0002, image0070; .*labels/image0002",
    ):
        check_presence(one, LISTS, tmp_path, LISTS.scans())
