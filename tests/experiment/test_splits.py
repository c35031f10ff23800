import json

import pytest
import yaml

from sgrs_core.digests import read_digests
from sgrs_core.experiment.schema import Dataset, Splits
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings
from sgrs_core.experiment.splits import SplitLists, read_splits
from tests.places import CONFIG


def dataset(source: str = "local", **lists) -> Dataset:
    return Dataset(
        title="test",
        format="la",
        source=source,
        folder="scans",
        phantom={
            "train_scans": 3,
            "test_scans": 2,
            "validation_scans": 1,
            "shape": (16,) * 3,
            "seed": 0,
        },
        splits=Splits(**lists),
        spacing=(1.0, 1.0, 1.0),
        training=TrainingSettings(),
        inference=InferenceSettings(),
    )


PUBLISHED = {
    "la": ("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU"),
    "pancreas": ("image0057", "image0018"),
    "brats2019": ("BraTS19_TCIA02_370_1", "BraTS19_CBICA_ASA_1"),
}


def shipped(name: str) -> Dataset:
    """A data set as its file describes it, its source aside."""
    values = yaml.safe_load((CONFIG / f"datasets/{name}.yaml").read_text())
    values |= {"source": "local", "folder": "scans"}
    return Dataset.model_validate_json(json.dumps(values))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_lists_have_the_scans_that_their_data_sets_file_counts(name):
    one = shipped(name)
    lists = read_splits(one, CONFIG)
    assert lists.train[:2] == PUBLISHED[name]
    assert one.splits.counts == {part: len(getattr(lists, part)) for part in one.splits.counts}
    assert sum(one.splits.counts.values()) == len(set(lists.scans()))


def test_the_counts_are_the_published_ones():
    counts = {name: shipped(name).splits.counts for name in PUBLISHED}
    assert counts == {
        "la": {"train": 80, "test": 20},
        "pancreas": {"train": 62, "test": 20},
        "brats2019": {"train": 250, "validation": 25, "test": 60},
    }


@pytest.mark.parametrize("name", ["la", "pancreas"])
def test_every_listed_scan_has_a_digest_in_the_mirrors_list_and_the_other_way_round(name):
    one = shipped(name)
    listed = read_digests(CONFIG / one.mirror.digests)
    assert set(listed) == {one.prepared_file_of(scan) for scan in read_splits(one, CONFIG).scans()}


def test_a_list_that_lost_a_line_is_noticed(tmp_path):
    (tmp_path / "train").write_text("a\nb\n")
    counted = dataset(train="train", test=["c"], counts={"train": 3, "test": 1})
    with pytest.raises(ValueError, match=r"train: 2 scans, but splits\.counts\.train says 3"):
        read_splits(counted, tmp_path)


def test_names_may_stand_in_the_configuration_itself(tmp_path):
    lists = read_splits(dataset(train=["a", "b"], test=["c"]), tmp_path)
    assert (lists.train, lists.test) == (("a", "b"), ("c",))


@pytest.mark.parametrize(
    "name", ["../a", "a/b", ".a", "{a}", "a*", "a\\b", "a\nb", "\0", "ä" * 101]
)
def test_a_name_that_could_leave_its_folder_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"splits\.train: .* cannot be a scan's name"):
        read_splits(dataset(train=[name, "b"], test=["c"]), tmp_path)


def test_absent_scans_are_left_out_but_counted_as_the_published_list_counts_them():
    lists = SplitLists(("a", "b", "c", "d"), ("e", "f"), (), absent=("b", "f"))
    assert lists.labelled(3) == ("a", "c")
    assert lists.unlabelled(3) == ("d",)
    assert lists.scans() == ("a", "c", "d", "e")
    assert lists.most_labelled() == 3
    assert lists._replace(absent=("c", "d")).most_labelled() == 1  # b is left
    assert lists._replace(absent=lists.train).most_labelled() == 0


def test_what_follows_a_comma_and_empty_lines_are_ignored(tmp_path):
    (tmp_path / "train").write_text("a\n\n b ,extra text\n")
    (tmp_path / "test").write_text("c\n")
    lists = read_splits(dataset(train="train", test="test"), tmp_path)
    assert lists.train == ("a", "b")


def test_a_list_of_another_encoding_is_named_and_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "train").write_text("ä\n", encoding="latin-1")
    (tmp_path / "test").write_text("c\n", encoding="utf-8-sig")
    with pytest.raises(ValueError, match=r"train: not readable .*; save the list as UTF-8"):
        read_splits(dataset(train="train", test="test"), tmp_path)
    assert read_splits(dataset(train=["a"], test="test"), tmp_path).test == ("c",)


def test_a_scan_in_two_lists_is_refused(tmp_path):
    (tmp_path / "train").write_text("a\nb\n")
    (tmp_path / "test").write_text("b\n")
    with pytest.raises(ValueError, match="b stands in two places"):
        read_splits(dataset(train="train", test="test"), tmp_path)


def test_an_empty_or_missing_list_is_named(tmp_path):
    (tmp_path / "train").write_text("\n")
    with pytest.raises(ValueError, match=r"train: the split list is empty"):
        read_splits(dataset(train="train", test="test"), tmp_path)
    (tmp_path / "train").write_text("a\n")
    with pytest.raises(FileNotFoundError, match="test: split list not found"):
        read_splits(dataset(train="train", test="test"), tmp_path)


def test_phantoms_have_names_of_their_own(tmp_path):
    lists = read_splits(dataset("phantom", train="none", test="none"), tmp_path)
    assert lists.train == ("phantom_train_000", "phantom_train_001", "phantom_train_002")
    assert lists.test == ("phantom_test_000", "phantom_test_001")
    assert lists.validation == ("phantom_validation_000",)
