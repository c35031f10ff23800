"""A folder in nnU-Net's layout is a data set by one key."""

import json
from pathlib import Path

import pytest
import yaml

from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.planning import check_scans, load_plan
from tests.docs.pages import blocks_of
from tests.places import CONFIG

DESCRIBED = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "spleen": 2, "ignore": 3},
    "numTraining": 4,
    "file_ending": ".nii.gz",
}
TRAIN, TEST = ["a", "b[1]", "c", "d"], ["x", "y"]


def fill(folder: Path, described: dict = DESCRIBED, channels: int = 1, tested: bool = True) -> str:
    """The folder: a and c have no label; of the test scans, only x has one."""
    labels = {"labelsTr": ["b[1]", "d"], "labelsTs": ["x"] if tested else []}
    images = {"imagesTr": TRAIN, "imagesTs": TEST}
    for part, names in {**images, **labels}.items():
        (folder / part).mkdir(parents=True)
        for name in names:
            for channel in range(channels if part in images else 1):
                ending = f"_{channel:04d}.nii.gz" if part in images else ".nii.gz"
                (folder / part / f"{name}{ending}").touch()
    (folder / "dataset.json").write_text(json.dumps(described))
    return str(folder)


def planned(folder: str, tmp_path: Path, **keys):
    file = tmp_path / "own.yaml"
    file.write_text("experiment: own\n")
    values = {
        "experiment": "own",
        "seeds": [0],
        "selections": ["last"],
        "datasets": {"spleen": {"nnunet": folder, **keys}},
        "tables": {
            "spleen": {
                "title": "Spleen", "dataset": "spleen", "labelled": [1], "rows": ["vnet", "sgrs"]
            }
        },
    }  # fmt: skip
    plan = load_plan(values, [file], CONFIG)
    check_scans(plan)
    return plan


def test_images_without_a_label_are_unlabelled_and_labelled_test_scans_are_tested(tmp_path):
    plan = planned(fill(tmp_path / "Dataset009 Spleen"), tmp_path)
    lists, dataset = plan.splits["spleen"], plan.dataset("spleen")
    assert (lists.train, lists.test) == (("b[1]", "d", "a", "c"), ("x",))
    assert (dataset.title, dataset.nifti.foreground) == ("Dataset009 Spleen", (2,))
    root = tmp_path / "Dataset009 Spleen"
    assert dataset.files_of("x") == [
        str(root / "imagesTs/x_0000.nii.gz"), str(root / "labelsTs/x.nii.gz")
    ]  # fmt: skip
    assert dataset.files_of("b[1]")[1] == str(root / "labelsTr/b[1].nii.gz")
    assert dataset.files_of("a") == [str(root / "imagesTr/a_0000.nii.gz")]
    assert dataset.nifti.crop == "body"


def test_folds_share_out_the_labelled_scans(tmp_path):
    plan = planned(fill(tmp_path / "in"), tmp_path, folds=2)
    tested = [plan.splits[fold].test for fold in plan.folds("spleen")]
    assert sorted(tested) == [("b[1]",), ("d",)]
    assert all(plan.splits[fold].train[1:] == ("a", "c") for fold in plan.folds("spleen"))


def test_what_is_written_goes_over_what_the_folder_says(tmp_path):
    plan = planned(fill(tmp_path / "in"), tmp_path, title="Mine", nifti={"voxel": 2.0})
    assert plan.dataset("spleen").title == "Mine"
    assert plan.dataset("spleen").nifti.voxel == 2.0
    assert plan.dataset("spleen").nifti.foreground == (2,)


def test_a_structure_that_the_folder_does_not_name_is_refused(tmp_path):
    told = r"foreground = \[2, 7\]: dataset.json's labels name \[1\] \(liver\), \[2, 3\] \(tumour\)"
    two = {**DESCRIBED, "labels": {"background": 0, "liver": 1, "tumour": [2, 3]}}
    folder = fill(tmp_path / "in", two)
    with pytest.raises(ConfigError, match=told):
        planned(folder, tmp_path, nifti={"foreground": [2, 7]})
    plan = planned(folder, tmp_path, nifti={"foreground": [1, 3]})
    assert plan.dataset("spleen").nifti.foreground == (1, 3)


def test_one_of_several_channels_is_chosen_by_name(tmp_path):
    several = {**DESCRIBED, "channel_names": {"0": "T1", "1": "FLAIR"}}
    folder = fill(tmp_path / "in", several, channels=2)
    with pytest.raises(ConfigError, match="channel = None: allowed are T1, FLAIR"):
        planned(folder, tmp_path)
    with pytest.raises(ConfigError, match=r"spleen\.channel = 'T2': allowed are T1, FLAIR"):
        planned(folder, tmp_path, channel="T2")
    plan = planned(folder, tmp_path, channel="FLAIR")
    assert plan.dataset("spleen").files_of("a") == [str(tmp_path / "in/imagesTr/a_0001.nii.gz")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": {"background": 0, "liver": 1, "tumour": [2, 3]}},
            r"foreground = None: a run segments one structure; choose of \[1\] \(liver\), \[2, 3\]",
        ),
        ({"channel_names": ["CT"]}, r"/dataset.json: channel_names = \['CT'\]: needs names by num"),
        ({"channel_names": {"CT": 0}}, r"channel_names.CT = 'CT': needs names by numbers"),
        ({"channel_names": {}}, r"channel_names = {}: needs names by numbers"),
        (
            {"channel_names": {"0": "MRI", "1": "MRI"}},
            r"spleen\.channel = None: dataset.json calls several channels MRI; give each",
        ),
        ({"labels": ["spleen"]}, r"/dataset.json: labels = \['spleen'\]: needs whole numbers, or"),
        ({"labels": {"spleen": "1"}}, r"/dataset.json: labels.spleen = '1': needs whole numbers"),
        ({"labels": {"background": 0}}, r"foreground = None: .*; dataset.json's labels name none"),
        ({"name": 5}, r"/dataset.json: name = 5: needs a text"),
        ({"file_ending": "nii.gz"}, r"/dataset.json: file_ending = 'nii.gz': needs an ending with"),
        ({"file_ending": ".nrrd"}, r"imagesTr holds no image whose name ends in _0000\.nrrd"),
    ],
)
def test_what_cannot_be_one_data_set_is_refused_with_what_to_choose(change, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        planned(fill(tmp_path / "in", {**DESCRIBED, **change}), tmp_path)


def test_a_folder_of_another_kind_says_what_it_lacks(tmp_path):
    other = {"labels": {"0": "background", "1": "spleen"}}
    with pytest.raises(ConfigError, match="lacks channel_names, file_ending"):
        planned(fill(tmp_path / "other", other), tmp_path)
    with pytest.raises(ConfigError, match=r"spleen\.nnunet = .*dataset.json cannot be read"):
        planned(str(tmp_path / "none"), tmp_path)


@pytest.mark.parametrize("lost", ["imagesTr/d_0000.nii.gz", "imagesTs/x_0000.nii.gz"])
def test_a_label_whose_image_is_lost_is_named(lost, tmp_path):
    folder = Path(fill(tmp_path / "in"))
    (folder / lost).unlink()
    label = lost.replace("images", "labels").replace("_0000", "")
    with pytest.raises(ConfigError, match=rf"nnunet = .*: 1 labels have no image: {label}"):
        planned(str(folder), tmp_path)


def test_fewer_scans_than_the_folder_says_are_noticed(tmp_path):
    planned(fill(tmp_path / "whole", {**DESCRIBED, "numTraining": 4}), tmp_path)
    with pytest.raises(
        ConfigError, match=r"5 training scans \(numTraining\), and imagesTr holds 4"
    ):
        planned(fill(tmp_path / "part", {**DESCRIBED, "numTraining": 5}), tmp_path)


@pytest.mark.parametrize("content", [[1], None, 5])
def test_a_description_without_keys_is_refused(content, tmp_path):
    with pytest.raises(ConfigError, match=r"dataset.json: needs keys and values"):
        planned(fill(tmp_path / "in", content), tmp_path)


@pytest.mark.parametrize("folds", [None, 2])
def test_folders_beside_those_of_the_layout_are_not_looked_into(folds, tmp_path):
    folder = Path(fill(tmp_path / "in"))
    for part in ("images", "labels"):
        (folder / f"{part}Old").mkdir()
        for file in folder.glob(f"{part}T[rs]/*"):
            (folder / f"{part}Old" / file.name).touch()
    dataset = planned(str(folder), tmp_path, folds=folds).dataset("spleen")
    for scan in ("a", "b[1]", "d"):
        assert {Path(file).parent.name[-2:] for file in dataset.files_of(scan)} == {"Tr"}


def test_a_name_in_both_folders_is_refused_unless_folds_leave_the_test_folder_alone(tmp_path):
    folder = Path(fill(tmp_path / "in"))
    (folder / "imagesTs/a_0000.nii.gz").touch()
    (folder / "labelsTs/a.nii.gz").touch()
    with pytest.raises(ConfigError, match="imagesTr and imagesTs both hold a; give scans"):
        planned(str(folder), tmp_path)
    dataset = planned(str(folder), tmp_path, folds=2).dataset("spleen")
    assert dataset.files_of("a") == [str(folder / "imagesTr/a_0000.nii.gz")]


@pytest.mark.parametrize("channel", ["_0000", ""])
def test_a_folder_of_the_first_version_or_the_decathlon_is_read(channel, tmp_path):
    first = {
        "name": "Spleen",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "training": [{"image": "./imagesTr/d.nii.gz", "label": "./labelsTr/d.nii.gz"}],
    }
    folder = Path(fill(tmp_path / "v1", first))
    (folder / "imagesTr/._d_0000.nii.gz").touch()  # as archives made by macOS have them
    for image in folder.glob("images*/*"):
        image.rename(image.with_name(image.name.replace("_0000", channel)))
    plan = planned(str(folder), tmp_path)
    assert plan.splits["spleen"].train == ("b[1]", "d", "a", "c")
    assert plan.dataset("spleen").nifti.foreground == (1,)
    assert plan.dataset("spleen").files_of("d")[0] == str(folder / f"imagesTr/d{channel}.nii.gz")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"0": "background", "1": "liver", "2": "tumour"}, r"\[1\] \(liver\), \[2\] \(tumour\)"),
        (
            {"0": "background", "one": "liver"},
            r"spleen\.nnunet = .*/dataset.json: labels.one = 'one'",
        ),
        ({"0": "background", "1": ["liver"]}, r"labels.1 = \['liver'\]: needs whole numbers, or"),
    ],
)
def test_labels_of_the_first_version_are_refused_as_the_seconds_are(labels, message, tmp_path):
    first = {"modality": {"0": "CT"}, "labels": labels}
    with pytest.raises(ConfigError, match=message):
        planned(fill(tmp_path / "v1", first), tmp_path)


def test_without_labelled_test_scans_folds_are_asked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"splits\.test = None: .* or set folds"):
        planned(fill(tmp_path / "in", tested=False), tmp_path)


def test_the_file_on_the_page_is_all_that_such_a_folder_needs(tmp_path):
    (text,) = [block.text for block in blocks_of("docs/own-data.md") if block.file == "heart.yaml"]
    folder = Path(fill(tmp_path / "in"))
    for number in range(12):
        (folder / f"imagesTr/more_{number}_0000.nii.gz").touch()
        (folder / f"labelsTr/more_{number}.nii.gz").touch()
    file = tmp_path / "heart.yaml"
    file.write_text(text.replace("/data/Dataset002_Heart", str(folder)))
    plan = load_plan(yaml.safe_load(file.read_text()), [file], CONFIG)
    check_scans(plan)
    assert len(text.splitlines()) <= 10
    assert len(plan.rows) == 5 * 2 * 2
