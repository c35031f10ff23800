"""Data sets of one's own, planned: which labels they need, and how their scans are cropped."""

from pathlib import Path

import pytest

from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.plan import Plan
from sgrs_core.experiment.planning import check_scans, load_plan
from sgrs_core.methods.check import check_methods
from tests.places import CONFIG

SCANS = [f"case{number}" for number in range(8)]


def fill(folder: Path, labelled: list[str], scans: list[str] = SCANS) -> None:
    """Empty files: nothing but their names is looked at."""
    for part, names in (("images", scans), ("labels", labelled)):
        (folder / part).mkdir(parents=True)
        for name in names:
            (folder / part / f"{name}.nii.gz").touch()


@pytest.fixture
def planned(tmp_path):
    """A checked plan of one data set `own` in tmp_path, with rows for 2 labelled scans."""
    file = tmp_path / "own.yaml"
    file.write_text("experiment: own\n")

    def build(rows=("vnet", "sgrs"), figures=None, tables=None, **keys) -> Plan:
        dataset = {
            "title": "Own",
            "format": "nifti",
            "source": "raw",
            "folder": str(tmp_path),
            "nifti": {},
            "splits": {"train": SCANS[:6], "test": SCANS[6:]},
            **keys,
        }
        dataset = {key: value for key, value in dataset.items() if value is not None}
        table = {"title": "Mine", "dataset": "own", "labelled": [2], "rows": list(rows)}
        values = {
            "experiment": "own",
            "seeds": [0],
            "selections": ["last"],
            "datasets": {"own": {"training": {}, "inference": {}, **dataset}},
            "tables": tables or {"own": table},
            "figures": figures or {},
        }
        plan = load_plan(values, [file], CONFIG)
        check_methods(plan)
        check_scans(plan, [file])
        return plan

    return build


def test_labels_are_needed_of_labelled_and_test_scans_alone(planned, tmp_path):
    fill(tmp_path, [*SCANS[:2], *SCANS[6:]])
    assert planned().used_labels("own") == [*SCANS[:2], *SCANS[6:]]
    (tmp_path / "labels/case7.nii.gz").unlink()
    with pytest.raises(ConfigError, match=r"datasets\.own\.folder .*1 scans .* have none: case7"):
        planned()


def test_a_row_with_all_labels_says_which_it_misses(planned, tmp_path):
    fill(tmp_path, [*SCANS[:2], *SCANS[6:]])
    with pytest.raises(ConfigError, match=r"4 scans .* have none: case2, case3, case4, case5;"):
        planned(rows=[{"method": "vnet", "all_labelled": True}])


@pytest.mark.parametrize(("selection", "needed"), [("best_on_validation", True), ("last", False)])
def test_validation_scans_need_labels_where_they_choose(selection, needed, planned, tmp_path):
    fill(tmp_path, [*SCANS[:2], *SCANS[6:]])
    splits = {"train": SCANS[:5], "test": SCANS[6:], "validation": ["case5"]}
    keys = {"splits": splits, "selections": [selection]}
    if not needed:
        planned(**keys)
        return
    with pytest.raises(ConfigError, match=r"1 scans .* have none: case5;"):
        planned(**keys)


@pytest.mark.parametrize(
    ("given", "labelled", "crop"),
    [
        (None, SCANS, None),
        (None, [*SCANS[:2], *SCANS[6:]], "body"),
        ("body", SCANS, "body"),
        ("label", [*SCANS[:2], *SCANS[6:]], "label"),
    ],
)
def test_all_scans_are_cropped_alike_to_what_all_of_them_have(
    given, labelled, crop, planned, tmp_path
):
    fill(tmp_path, labelled)
    plan = planned(nifti={"crop": given})
    assert plan.preparation("own")["options"]["crop"] == crop
    assert plan.preparation_of_new("own")["nifti"]["crop"] == crop
