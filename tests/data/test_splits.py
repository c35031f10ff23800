from pathlib import Path

import pytest

from sgrs_core.data.splits import read_splits
from sgrs_core.schema import Dataset, Splits
from sgrs_core.settings import InferenceSettings, TrainingSettings

CONFIG = Path(__file__).parents[2] / "config"


def dataset(source: str = "local", **lists: str) -> Dataset:
    return Dataset(
        title="test",
        source=source,
        folder="scans",
        phantom={"train_scans": 3, "test_scans": 2, "shape": (16, 16, 16), "seed": 0},
        splits=Splits(**lists),
        spacing=(1.0, 1.0, 1.0),
        training=TrainingSettings(),
        inference=InferenceSettings(),
    )


def test_the_published_lists_of_la_have_80_training_and_20_test_scans():
    lists = read_splits(dataset(train="splits/la/train.list", test="splits/la/test.list"), CONFIG)
    assert (len(lists.train), len(lists.test), len(lists.validation)) == (80, 20, 0)
    assert lists.train[:2] == ("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU")


def test_every_listed_la_scan_has_a_digest():
    lists = read_splits(dataset(train="splits/la/train.list", test="splits/la/test.list"), CONFIG)
    digests = (CONFIG / "splits/la/mirror.sha256").read_text()
    assert all(f"{scan}/mri_norm2.h5" in digests for part in lists for scan in part)


def test_what_follows_a_comma_and_empty_lines_are_ignored(tmp_path):
    (tmp_path / "train").write_text("a\n\n b ,extra text\n")
    (tmp_path / "test").write_text("c\n")
    lists = read_splits(dataset(train="train", test="test"), tmp_path)
    assert lists.train == ("a", "b")


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
