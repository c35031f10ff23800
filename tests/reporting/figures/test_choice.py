"""Which scan and which slices a figure shows."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import write_image
from sgrs_core.data.masks import Mask
from sgrs_core.data.volumes import Volume, write_volume
from sgrs_core.experiment.layout import with_distinct_titles
from sgrs_core.experiment.settings import Slices
from sgrs_core.reporting.figures.cases import (
    median_scan,
    read_cases,
    slices_by_rule,
)
from tests.reporting.figures.synthetic_cases import SHAPE, ball, box, case_with

# Slices


def indices_of(slices: Slices, label: Mask) -> list[int]:
    return case_with(label=label).chosen(slices)


def test_the_slice_with_the_largest_area_is_shown() -> None:
    label = box(slice(4, 6), slice(4, 6)) | box(slice(4, 12), slice(4, 9), slice(11, 12))

    assert indices_of(Slices(), label) == [11]
    assert indices_of(Slices("x"), label) == [4]  # 2 x 16 voxels and 3 of the plate
    assert indices_of(Slices("y"), label) == [4]


def test_the_lowest_of_equally_large_slices_is_shown() -> None:
    assert indices_of(Slices(), box(slice(4, 6), slice(4, 6), slice(5, 9))) == [5]


def test_several_slices_share_the_volume_out() -> None:
    label = box(slice(4, 6), slice(4, 6), slice(2, 14))  # 12 slices, all alike

    assert indices_of(Slices(count=3), label) == [3, 7, 11]
    assert indices_of(Slices(count=2), label) == [4, 10]


@pytest.mark.parametrize("direction", [0, 1, 2])
def test_every_chosen_slice_holds_ground_truth_and_none_comes_twice(direction: int) -> None:
    for label in (ball(5), box(slice(3, 4), slice(3, 4), slice(3, 4)), ball(1) | ball(9)):
        chosen = slices_by_rule(label, direction, 5)
        assert chosen == sorted(set(chosen))
        assert all(label.take(index, axis=direction).any() for index in chosen)


def test_given_slices_are_shown_as_they_are_given() -> None:
    assert indices_of(Slices("x", at=(19, 0)), ball(5)) == [19, 0]


@pytest.mark.parametrize(("axis", "last"), [("x", 19), ("y", 23), ("z", 15)])
def test_a_slice_beyond_the_scan_is_refused(axis: str, last: int) -> None:
    assert indices_of(Slices(axis, at=(last,)), ball(5)) == [last]
    with pytest.raises(ValueError, match=f"scan: slices.at = {last + 1}: allowed are 0 to {last}"):
        indices_of(Slices(axis, at=(0, last + 1)), ball(5))


# The scan


def write_dice(file: Path, dice: dict[str, float]) -> Path:
    """A score file of scans with these Dice."""
    rows = pandas.DataFrame({"scan": list(dice), "dice": list(dice.values())})
    rows.assign(jaccard=0.5, hd95=1.0, asd=1.0, empty=False).to_csv(file, index=False)
    return file


@pytest.mark.parametrize(
    ("dice", "median"),
    [
        ({"a": 0.9, "b": 0.1, "c": 0.5}, "c"),
        ({"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.6}, "c"),  # the lower of two in the middle
        ({"c": 0.5, "b": 0.5, "a": 0.5}, "b"),  # equals are ordered by name
        ({"001": 0.9, "002": 0.1, "003": 0.5}, "003"),  # a name is no number
    ],
)
def test_the_scan_in_the_middle_is_the_median(dice, median, tmp_path: Path) -> None:
    file = write_dice(tmp_path / "scores.csv", dice)
    assert median_scan([{"title": "A", "variant": "a", "scores": file}]) == median


DICE = {
    ("vnet", 4): {"a": 0.1, "b": 0.2, "c": 0.9},
    ("sgrs", 4): {"a": 0.6, "b": 0.9, "c": 0.7},
    ("vnet", 8): {"a": 0.3, "b": 0.2, "c": 0.1},
    ("sgrs", 8): {"a": 0.3, "b": 0.2, "c": 0.1},
}


@pytest.fixture
def lines(tmp_path: Path) -> list[dict]:
    """The lines of a figure of two methods, with scores and predictions of three scans.

    The scans' axes are turned: what is stored first runs to the head.
    """
    lines = []
    for (method, labelled), dice in DICE.items():
        folder = tmp_path / f"{method}-{labelled}"
        folder.mkdir()
        write_dice(folder / "scores.csv", dice)
        for scan in dice:
            write_image(folder / f"{scan}.nii.gz", PlacedImage(ball(4).astype(np.uint8), *TURNED))
        line = {"variant": method, "title": method.upper(), "labelled": labelled}
        lines.append(line | {"scores": folder / "scores.csv", "predictions": folder})
    return lines


TURNED = ((2.0, 1.0, 1.5), (0.0, 0.0, 0.0), (0.0, 1, 0, 0, 0, 1, 1, 0, 0))


@pytest.fixture
def volumes(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{scan}.h5" for scan in "abc"]
    for path in paths:
        image = np.zeros(SHAPE, np.float32)
        write_volume(path, Volume(image, ball(6).astype(np.uint8), *TURNED))
    return paths


def test_the_median_is_of_the_mean_over_the_methods_or_of_one_method(lines: list[dict]) -> None:
    assert median_scan(lines[:2]) == "b"  # means 0.35, 0.55, 0.8
    assert median_scan(lines[:2], "sgrs") == "c"
    assert median_scan(lines[:2], "vnet") == "b"


def test_each_number_of_labelled_scans_has_its_own_median(lines: list[dict], volumes) -> None:
    names = [case.line for case in read_cases(lines, volumes, median_of="sgrs")]
    assert names == ["4 labelled, c", "8 labelled, b"]


def test_a_scan_given_by_name_is_shown_for_each_number(lines: list[dict], volumes) -> None:
    cases = read_cases(lines, volumes, case="a", median_of="sgrs")
    assert [case.line for case in cases] == ["4 labelled, a", "8 labelled, a"]
    for case in cases:
        assert list(case.predictions) == ["VNET", "SGRS"]


def test_a_case_lies_in_the_patients_axes(lines: list[dict], volumes) -> None:
    (case, _) = read_cases(lines, volumes, case="a")
    assert case.label.shape == (SHAPE[1], SHAPE[2], SHAPE[0])
    assert case.spacing == (1.0, 1.5, 2.0)
    assert case.predictions["VNET"].shape == case.label.shape == case.image.shape


def test_rows_of_one_title_are_told_apart(lines: list[dict], volumes) -> None:
    alike = with_distinct_titles([{**line, "title": "Ours"} for line in lines])
    for case in read_cases(alike, volumes, case="a"):
        assert list(case.predictions) == ["Ours (vnet)", "Ours (sgrs)"]
