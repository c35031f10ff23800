"""Data sets of one's own, planned: which labels they need, and how their scans are cropped."""

from pathlib import Path

import pytest
import yaml

from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.plan import Plan, Point
from sgrs_core.experiment.planning import check_scans, load_plan
from sgrs_core.methods.check import check_methods
from sgrs_core.monitoring.as_planned import check_planned_preparation
from sgrs_core.monitoring.planned import write_folds, write_planned
from sgrs_core.reporting.html.contents import pages_of
from tests.places import CONFIG, PROJECT

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
        file.write_text(yaml.safe_dump(values, allow_unicode=True))
        plan = load_plan(values, [file], CONFIG)
        check_methods(plan)
        check_scans(plan)
        return plan

    return build


def test_labels_are_needed_of_labelled_and_test_scans_alone(planned, tmp_path):
    fill(tmp_path, [*SCANS[:2], *SCANS[6:]])
    assert planned().used_labels("own") == [*SCANS[:2], *SCANS[6:]]
    (tmp_path / "labels/case7.nii.gz").unlink()
    with pytest.raises(ConfigError, match=r"datasets\.own\.folder .*1 scans .* have none: case7"):
        planned()


@pytest.mark.parametrize("key", ["images", "labels"])
def test_a_scan_with_two_files_of_its_pattern_is_refused_before_any_job(key, planned, tmp_path):
    fill(tmp_path, SCANS)
    pattern = f"{key}/{{scan}}*.nii.gz"
    planned(nifti={key: pattern})
    (tmp_path / key / "case3_T1.nii.gz").touch()
    with pytest.raises(
        ConfigError, match=rf"datasets\.own\.nifti\.{key} = .*: scan case3 has 2 su"
    ):
        planned(nifti={key: pattern})


def test_an_image_is_no_label(planned, tmp_path):
    fill(tmp_path, SCANS)
    with pytest.raises(
        ConfigError, match=r"own\.nifti\.labels = .*case0\.nii\.gz is the image of ca"
    ):
        planned(nifti={"labels": "images/{scan}.nii.gz"})


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
        ("label", SCANS, "label"),
    ],
)
def test_all_scans_are_cropped_alike_to_what_all_of_them_have(
    given, labelled, crop, planned, tmp_path
):
    fill(tmp_path, labelled)
    plan = planned(nifti={"crop": given})
    assert plan.preparation("own")["options"]["crop"] == crop
    assert plan.preparation_of_new("own")["nifti"]["crop"] == crop


def test_scans_without_a_label_cannot_be_cropped_to_it(planned, tmp_path):
    fill(tmp_path, [*SCANS[:2], *SCANS[6:]])
    with pytest.raises(ConfigError, match=r"nifti\.crop = label: allowed where each .* are case2"):
        planned(nifti={"crop": "label"})
    planned(nifti={"crop": "label", "margin": None})  # nothing is cropped


FOLDS = {"splits": {"train": SCANS}, "folds": 3}


def test_each_labelled_scan_is_tested_once_by_runs_that_did_not_learn_from_it(planned, tmp_path):
    fill(tmp_path, SCANS[:7])
    plan = planned(**FOLDS)
    points = {point for point in plan.rows if point.variant == "sgrs"}
    assert points == {Point(f"own/fold-{fold}", 2, "sgrs", 0) for fold in range(3)}
    tested = [scan for fold in plan.folds("own") for scan in plan.splits[fold].test]
    assert sorted(tested) == SCANS[:7]
    for point in points:
        run = plan.run(point)
        learnt = [*run.labelled, *run.unlabelled]
        assert sorted([*learnt, *plan.splits[point.dataset].test]) == SCANS
        assert "case7" in run.unlabelled
    assert len({plan.run(point).labelled for point in points}) == 3
    assert set(plan.used_labels("own")) == set(SCANS[:7])


def test_a_folds_job_is_told_of_a_preparation_that_was_changed(planned, tmp_path):
    fill(tmp_path, SCANS[:7])
    plan = planned(**FOLDS)
    write_planned(tmp_path, [], plan, {}, 1)
    for name in ("own", "own/fold-0"):
        with pytest.raises(ValueError, match=f"preparation of {name} was planned"):
            check_planned_preparation(tmp_path, name, {**plan.preparation(name), "downsample": 2})


def test_folds_follow_from_the_scans_names_alone_and_stand_in_a_file(planned, tmp_path):
    fill(tmp_path, SCANS[:7])
    plan, turned = planned(**FOLDS), planned(**{**FOLDS, "splits": {"train": SCANS[::-1]}})
    assert [plan.splits[fold].test for fold in plan.folds("own")] == [
        turned.splits[fold].test for fold in plan.folds("own")
    ]
    write_folds(tmp_path, plan)
    head, *lines = (tmp_path / "own/folds.csv").read_text().splitlines()
    assert head == "scan,fold"
    assert dict(line.split(",") for line in lines) == {
        **{scan: str(k) for k in range(3) for scan in plan.splits[f"own/fold-{k}"].test},
        "case7": "",
    }


def test_folds_share_prepared_scans_and_have_folders_of_their_own(planned, tmp_path):
    fill(tmp_path, SCANS)
    plan = planned(**FOLDS)
    layout = Layout(plan)
    first = layout.volumes_of_part("own/fold-0", "train")
    assert set(first) < set(layout.volumes("own", SCANS))
    (line, *_) = layout.lines_of_table("own")
    assert line["scores"]["last"] == [
        f"results/own/own/fold-{fold}/labelled-2/vnet/seed-0/last/scores.csv" for fold in range(3)
    ]
    assert layout.runs()[1]["label"] == "V-Net, Own, fold 1, 2 labelled, seed 0"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"folds": 3}, r"folds = 3: allowed where splits\.test is null"),
        ({"splits": {"train": SCANS}}, r"splits\.test = None: .* or set folds"),
        ({**FOLDS, "folds": 9}, r"own\.folds = 9: 8 scans of splits.train have a label, fewer th"),
        ({**FOLDS, "folds": 1}, r"folds = 1: allowed are whole numbers from 2"),
    ],
)
def test_folds_that_cannot_be_are_refused(keys, message, planned, tmp_path):
    fill(tmp_path, SCANS)
    with pytest.raises(ConfigError, match=message):
        planned(**keys)


def test_folds_without_labels_enough_say_which_scans_have_none_and_how_many_can_be_asked_for(
    planned, tmp_path
):
    fill(tmp_path, SCANS[:2])
    with pytest.raises(ConfigError) as said:
        planned(**FOLDS)
    key, others, looked_for = str(said.value).split("; ")
    assert key.endswith("own.yaml: datasets.own.folds = 3: 2 scans of splits.train have a label, "
                        "fewer than folds")  # fmt: skip
    assert others == "without one are case2, case3, case4, case5, case6, ..."
    assert looked_for == f"looked for {tmp_path}/labels/case2.nii.gz"
    with pytest.raises(ConfigError) as said:
        planned(**{**FOLDS, "folds": 2}, rows=[{"method": "vnet", "labelled": [2]}])
    assert "scans that need a label have none: case" in str(said.value)
    assert str(said.value).endswith("with folds = 2 and 2 labels, labelled can be at most 1")
    planned(**{**FOLDS, "folds": 2}, rows=[{"method": "vnet", "labelled": [1]}])


def test_a_report_on_ones_own_data_says_nothing_of_the_papers(planned, tmp_path):
    fill(tmp_path, SCANS)
    pages = {page.name for page in pages_of(planned(), PROJECT / "docs")}
    assert "tables.md" in pages
    assert not {"paper.md", "reproducibility.md"} & pages


TABLE = {"title": "Mine", "dataset": "own", "labelled": [1, 2], "rows": ["vnet", "bcp", "sgrs"]}
CURVES = {"title": "Curves", "dataset": "own", "kind": "training_curves", "rows_of": "mine"}


def lines(plan: Plan, name: str) -> list[tuple[str, int]]:
    return [(entry.row.variant, entry.labelled) for entry in plan.entries(name)]


def test_a_figure_shows_the_named_rows_of_a_table_in_the_same_file(planned, tmp_path):
    fill(tmp_path, SCANS)
    figures = {"all": {**CURVES, "labelled": [1]}, "some": {**CURVES, "only": ["vnet", "sgrs"]}}
    plan = planned(tables={"mine": TABLE}, figures=figures)
    assert lines(plan, "all") == [("vnet", 1), ("bcp", 1), ("sgrs", 1)]
    assert lines(plan, "some") == [("vnet", 1), ("vnet", 2), ("sgrs", 1), ("sgrs", 2)]
    with pytest.raises(ConfigError, match="only = 'dtc': allowed are vnet, bcp, sgrs"):
        planned(tables={"mine": TABLE}, figures={"some": {**CURVES, "only": ["dtc"]}})


@pytest.mark.parametrize(
    ("given", "methods"),
    [
        ({}, ["vnet", "sgrs"]),
        ({"methods": ["sgrs"]}, ["sgrs"]),
        ({"methods": None}, ["vnet", "bcp", "sgrs", "sgrs_paper"]),
    ],
)
def test_a_figure_follows_what_its_table_is_filtered_to(given, methods):
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    values["tables"] = {"table2": {"methods": ["vnet", "sgrs"], "labelled": [4]}}
    values |= {"figures": {"training_curves": given, "error_maps": {}}, "headline": []}
    plan = load_plan(values, [CONFIG / "config.yaml"], CONFIG)
    assert lines(plan, "training_curves") == [(method, 4) for method in methods]
    assert lines(plan, "error_maps") == [("vnet", 4), ("sgrs", 4)]


def test_only_what_is_named_is_made_with_the_data_sets_it_shows():
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    values |= {"only": ["table3", "figure3"], "headline": ["table2", "table3"]}
    plan = load_plan(values, [CONFIG / "config.yaml"], CONFIG)
    assert list(plan.sheets) == ["table3", "figure3"]
    assert list(plan.experiment.datasets) == ["pancreas"]
    assert plan.experiment.headline == ["table3"]
    # A table called as a data set is, is not wanted for that.
    named = {"title": "All", "dataset": "la", "labelled": [4], "rows": ["vnet"]}
    values |= {"tables": {**values["tables"], "pancreas": named}, "only": ["figure3"]}
    assert list(load_plan(values, [CONFIG / "config.yaml"], CONFIG).sheets) == ["figure3"]
    with pytest.raises(ConfigError, match="only = 'table9': allowed are table2"):
        load_plan({**values, "only": ["table9"]}, [CONFIG / "config.yaml"], CONFIG)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"iterations": 40}, True),
        ({"iterations": 1000}, True),
        ({"iterations": 1001}, False),
        ({"iterations": 40, "selection_from": 10, "selection_every": 20}, False),
        ({"iterations": 40, "selection_from": 21, "selection_every": 20}, True),
    ],
)
def test_a_choice_among_the_last_checkpoint_alone_is_a_warning(training, said, planned, tmp_path):
    fill(tmp_path, SCANS)
    keys = {"training": training, "validation_scans": 1}
    plan = planned(selections=["last", "best_on_validation"], **keys)
    assert (
        any("own: best_on_validation can only be the last" in line for line in plan.warnings())
        is said
    )
    assert not any("best_on" in line for line in planned(training=training).warnings())


@pytest.mark.parametrize(
    ("key", "text", "full"), [("iterations", "1e4", "10000"), ("learning_rate", "1e-4", "0.0001")]
)
def test_a_number_that_yaml_takes_for_a_text_is_said_in_full(key, text, full, planned, tmp_path):
    fill(tmp_path, SCANS)
    with pytest.raises(ConfigError, match=rf"{key} = '{text}': .*: write {full}$"):
        planned(training={key: text})


def test_a_list_with_too_few_scans_names_its_data_set(planned, tmp_path):
    fill(tmp_path, SCANS)
    splits = {"train": SCANS[:6], "test": SCANS[6:], "counts": {"test": 9}}
    with pytest.raises(ConfigError, match=r"datasets\.own\.splits: .*2 scans, .*test says 9"):
        planned(splits=splits)


def test_numbers_for_names_are_refused_once_each_with_what_to_write(planned, tmp_path):
    fill(tmp_path, SCANS)
    with pytest.raises(ConfigError) as refused:
        planned(splits={"train": ["a", 1], "test": ["b"]})
    assert str(refused.value) == (
        f"{tmp_path / 'own.yaml'}: datasets.own.splits.train.1 = 1: allowed are texts; write names "
        "in quotes"
    )


def test_an_empty_list_of_test_scans_is_refused_before_anything_is_trained(planned, tmp_path):
    fill(tmp_path, SCANS)
    with pytest.raises(ConfigError, match=r"splits\.test: the split list is empty"):
        planned(splits={"train": SCANS[:6], "test": []})


def test_a_table_of_ones_own_without_rows_says_so(planned, tmp_path):
    fill(tmp_path, SCANS)
    table = {"title": "Mine", "dataset": "own", "labelled": [2], "row": ["vnet"]}
    with pytest.raises(ConfigError) as refused:
        planned(tables={"mine": table})
    assert "tables.mine.rows = []: allowed are one or more of" in str(refused.value)
    assert "tables.mine.row = ['vnet']: unknown key; allowed are " in str(refused.value)
    assert "tables.mine.title" not in str(refused.value)


def test_the_home_folder_may_be_written_as_a_tilde(planned, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path / "scans", SCANS)
    assert planned(folder="~/scans").dataset("own").folder == str(tmp_path / "scans")
