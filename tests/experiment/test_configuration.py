"""Every mistake is one line that names file, key, value and what is allowed."""

import copy
import json
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import yaml

from sgrs_core.data.volumes import Volume, write_volume
from sgrs_core.experiment.configuration import ConfigError, read
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.plan import Point
from sgrs_core.experiment.planning import MOST_CURVES, check_scans, load_plan
from sgrs_core.experiment.schema import FigureFilter
from sgrs_core.experiment.settings import Slices
from sgrs_core.methods.check import check_methods
from tests.places import CONFIG

FILE = CONFIG / "config.yaml"


def plan(values, files=(FILE,)):
    loaded = load_plan(values, files, CONFIG)
    check_methods(loaded)
    return loaded


def shipped(name: str):
    """An experiment's values; where it needs BraTS2019, with a folder that nobody looks into."""
    values = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    if "source" not in values["datasets"].get("brats2019", {"source": "none"}):
        values["datasets"]["brats2019"]["folder"] = "/scans/brats"
    return values


def changed(place: str, value):
    """The demo's values with one of them changed."""
    values = copy.deepcopy(shipped("config"))
    *groups, key = place.split(".")
    group = values
    for name in groups:
        group = group.setdefault(name, {})
    group[key] = value
    return values


@pytest.mark.parametrize("key", ["runs_per_gpu", "runs_per_card"])
def test_the_runs_that_share_a_gpu_are_read_under_the_old_name_too(key):
    plan = load_plan(changed(key, 3), [FILE], CONFIG)
    assert plan.experiment.runs_per_gpu == 3


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("colour", "red", "colour = 'red': unknown key; allowed are data_folder, datasets"),
        ("experiment", "a/b", "experiment = 'a/b': allowed are 1 to 100 letters, digits, '_'"),
        ("seeds", [], r"seeds = \[\]: allowed are one or more of: whole numbers from 0"),
        ("seeds", ["1"], "seeds.0 = '1': allowed are whole numbers from 0"),
        ("seeds", [2**32], "seeds.0 = 4294967296: allowed are whole numbers from 0 to below 4294"),
        ("datasets.la.training.patch", 64, "patch = 64: allowed are 3 whole numbers from 16 to"),
        (
            "tables.mine",
            {"title": "Mine", "dataset": "la", "rows": {}},
            "tables.mine.rows = {}: allowed are lists of methods, each its name or keys and values",
        ),
        ("datasets", 5, "datasets = 5: allowed are "),
        ("tables", True, "tables = True: allowed are "),
        ("figures", "all", "figures = 'all': allowed are "),
        ("methods", 5, "methods = 5: allowed are "),
        (
            "datasets.own",
            {"nnunet": None},
            "datasets.own.nnunet = None: allowed are paths of folde",
        ),
        (
            "datasets.own",
            {"nnunet": [1]},
            r"own.nnunet = \[1\]: allowed are paths of folders in nnU",
        ),
        (
            "tables.own",
            {"title": "Mine", "dataset": "la", "rows_of": "tabel2"},
            "tables.own.rows_of = 'tabel2': allowed are table2, table3",
        ),
        (
            "figures.own",
            {
                "title": "Mine",
                "dataset": "la",
                "kind": "threshold",
                "labelled": [4],
                "rows": ["vnet"],
            },
            r"figures.own.rows.vnet.method = 'vnet': kind = threshold shows methods that have a se",
        ),
        ("headline", [["table2"]], r"headline\.0 = \['table2'\]: allowed are texts"),
        ("only", [["table2"]], r"only = \['table2'\]: allowed are table2, table3"),
        ("headline", ["table2"] * 2, "headline = .*: 'table2' stands there twice"),
        ("training_threads", 2000, "training_threads = 2000: allowed are whole numbers from 1 to"),
        ("datasets.la.title", " ", "datasets.la.title = ' ': allowed are one line of text"),
        ("datasets.la.title", "a\nb", "datasets.la.title = .*: allowed are one line of text"),
        (
            "datasets.la.prepared_file",
            "x.h5",
            r"prepared_file = 'x.h5': allowed are paths with {sc",
        ),
        ("datasets.la.phantom.test_scans", 10**8, "test_scans = 100000000: allowed are whole numb"),
        ("datasets.la.phantom.shape", [9, 9, 10**5], "shape.2 = 100000: allowed are whole numbers"),
        (
            "datasets.la.training.iterations",
            10**20,
            "iterations = 1000000+: allowed are whole numb",
        ),
        ("datasets.la.training.patch", [16, 16, 1600], "patch.2 = 1600: allowed are whole numbers"),
        (
            "datasets.la.training.base_filters",
            9999,
            "base_filters = 9999: allowed are whole numbers",
        ),
        (
            "selections",
            ["best"],
            "selections.0 = 'best': allowed are 'last', 'best_on_test', 'best_",
        ),
        ("headline", ["table9"], "headline = 'table9': allowed are table2, table3"),
        ("datasets.la.nifti", {}, r"datasets.la.nifti = \.\.\.: allowed for format = nifti"),
        ("datasets.moon", {}, "datasets = 'moon': allowed are brats2019, la, pancreas"),
        ("datasets.la.source", "raw", "datasets.la.folder = None: source = raw needs this key"),
        (
            "datasets.pancreas.labels",
            {"url": "a", "sha256": "f00"},
            r"labels\.sha256 = 'f00': allowed are 64 hex digits in lower case",
        ),
        ("datasets.la.downsample", 0, "downsample = 0: allowed are whole numbers from 1"),
        (
            "datasets.la.methods.bpc",
            {},
            r"datasets\.la\.methods = 'bpc': allowed are bcp",
        ),
        (
            "datasets.la.methods.bcp",
            {"pretrainings": 0.5},
            r"datasets\.la\.methods\.bcp\.pretrainings = 0\.5: unknown key",
        ),
        (
            "datasets.la.methods.bcp",
            {"pretraining": 2.0},
            r"datasets\.la\.methods\.bcp\.pretraining = 2\.0: allowed are numbers from",
        ),
        ("datasets.la.training.iterations", "many", "iterations = 'many': allowed are whole"),
        ("datasets.la.training.iterations", True, "iterations = True: allowed are whole numbers"),
        ("datasets.la.training.iterations", 0, "iterations = 0: allowed are whole numbers from 1"),
        ("datasets.la.training.itrations", 5, "itrations = 5: unknown key; allowed are augment"),
        (
            "datasets.la.training.patch",
            [30, 32, 16],
            r"patch.0 = 30: allowed are .*multiples of 16",
        ),
        ("datasets.la.training.patch", [32, 32], "patch.2 = .missing.: allowed are whole numbers"),
        (
            "datasets.la.training.precision",
            "fp8",
            "precision = 'fp8': allowed are 'strict', ",
        ),
        ("seeds", [0, 1, 0], r"seeds = \[0, 1, 0\]: .*0 stands there twice"),
        ("selections", ["last", "last"], "'last' stands there twice"),
        ("tables.table2.labelled", [4, 4], "4 stands there twice"),
        (
            "tables.own",
            {
                "title": "Mine",
                "dataset": "la",
                "rows": [
                    {"variant": "a", "method": "vnet", "labelled": [4]},
                    {"variant": "a", "method": "vnet", "labelled": [4, 8]},
                ],
            },
            "tables.own: rows = 'a' with 4 labelled scans stands there twice",
        ),
        (
            "tables.own",
            {
                "title": "Mine",
                "dataset": "la",
                "published_table": 3,
                "rows": [
                    {"variant": "a", "method": "vnet", "labelled": [4]},
                ],
            },
            r"tables\.own\.published_table = 3: allowed are 2, 5, 6, 7, of la, or null",
        ),
        (
            "tables.own",
            {
                "title": "Mine",
                "dataset": "la",
                "published_table": 2,
                "rows": [
                    {"variant": "a", "method": "vnet", "published": "vnett", "labelled": [4]},
                ],
            },
            r"rows\.a\.published = 'vnett': allowed are bcp, caml",
        ),
        ("datasets.la.training.learning_rate", float("nan"), "learning_rate = nan: allowed are"),
        ("datasets.la.training.learning_rate", -1.0, "learning_rate = -1.0: allowed are numbers"),
        ("datasets.la.training.momentum", 3.0, "momentum = 3.0: allowed are numbers from 0 to"),
        ("datasets.la.training.weight_decay", float("inf"), "weight_decay = inf: allowed are"),
        ("datasets.la.training.selection_from", -5, "selection_from = -5: allowed are whole"),
        ("datasets.la.methods.sgrs", {"noise": -1.0}, "noise = -1.0: allowed are numbers from 0"),
        ("datasets.la.methods.sgrs", {"epsilon": 7.0}, "epsilon = 7.0: allowed are numbers from"),
        ("datasets.la.methods.sgrs", {"beta": 0.0}, "beta = 0.0: allowed are numbers above 0"),
        ("datasets.la.training.dropout", 1.0, "dropout = 1.0: allowed are numbers from 0 to"),
        ("datasets.la.inference.stride", [0, 1, 1], "stride.0 = 0: allowed are whole numbers"),
        ("datasets.la.phantom.train_scans", 7, "labelled = 8 .*: allowed are 1 to 7"),
        (
            "datasets.la.phantom.train_scans",
            8,
            "labelled = 8 .row dtc.: allowed are up to 7 of the 8 training scans of la",
        ),
        ("tables.table2.labelled", [5], "tables.table2.labelled = 5: allowed are 4, 8, 20"),
        ("tables.table2.methods", ["x"], "table2.methods = 'x': allowed are .*sgrs, sgrs_paper"),
        (
            "datasets.brats2019",
            {"source": "raw"},
            "brats2019.folder = None: source = raw needs this key; BraTS2019 is never downloaded",
        ),
        ("datasets.brats2019.source", "mirror", "brats2019.mirror = None: source = mirror needs"),
        (
            "datasets.pancreas.phantom.spacing",
            None,
            "pancreas.phantom.spacing = None: format = pancreas needs this key",
        ),
        (
            "datasets.la.phantom.spacing",
            [1.0, 1.0, 1.0],
            "la.phantom.spacing = .*: format = la has a spacing of its own",
        ),
        (
            "datasets.la.splits",
            {"counts": {"train": "x"}},
            "splits.counts.train = 'x': allowed are",
        ),
        ("tables.table9", {}, "tables = 'table9': allowed are table2, table3"),
        ("selections", ["best_on_validation"], "validation_scans = 0: allowed are 1 to 3"),
        ("datasets.la.channel", "T2", "la.channel = T2: allowed where nnunet names a folder"),
        ("datasets.la.label_files", "dicom_seg", "label_files = dicom_seg: allowed for format = p"),
        ("datasets.la.label_origin", "ignored", "label_origin = ignored: allowed for format = pan"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_value_and_what_is_allowed(place, value, message):
    with pytest.raises(ConfigError, match=message) as raised:
        plan(changed(place, value))
    assert "\n" not in str(raised.value)
    assert ".yaml: " in str(raised.value)


ROWS = [{"variant": "vnet", "method": "vnet", "labelled": [4]}]
SHEET = {"title": "Mine", "dataset": "la", "rows": ROWS}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("tables.cost", SHEET, "tables = 'cost': the workflow has a table of this name"),
        (
            "tables.selection_gain",
            SHEET,
            "tables = 'selection_gain': the workflow has a table of this name",
        ),
        (
            "figures.cost",
            {**SHEET, "kind": "threshold"},
            "figures = 'cost': the workflow has a table",
        ),
        ("figures.table2", {**SHEET, "kind": "threshold"}, "figures.table2: a table has this"),
    ],
)
def test_a_name_that_is_taken_already_is_refused(place, value, message):
    with pytest.raises(ConfigError, match=rf"^{FILE}: {message}"):
        plan(changed(place, value))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            "figures.figure2.case",
            "nobody",
            "figures.figure2.case = 'nobody': allowed are median, phantom_test_000, phantom_test_",
        ),
        (
            "figures.figure2.case",
            "phantom_train_000",
            "case = 'phantom_train_000': allowed",
        ),
        ("figures.figure2.case", 3, "figures.figure2.case = 3: allowed are texts"),
        (
            "figures.figure2.median_of",
            "nn",
            "median_of = 'nn': allowed are vnet, dtc, .*sgrs",
        ),
        ("figures.figure2.slices", {"axis": "w"}, "slices.axis = 'w': allowed are 'x', 'y', 'z'"),
        (
            "figures.figure2.slices",
            {"count": 0},
            "figure2.slices.count = 0: allowed are whole numbers from 1 to 6",
        ),
        (
            "figures.figure2.slices",
            {"at": [-1]},
            r"slices.at.0 = -1: allowed are whole numbers from 0$",
        ),
        (
            "figures.figure2.slices",
            {"at": ["a"]},
            "slices.at.0 = 'a': allowed are whole numbers from 0$",
        ),
        (
            "figures.figure2.slices",
            {"to": 1},
            "slices.to = 1: unknown key; allowed are at, axis",
        ),
        (
            "figures.figure4.case",
            "phantom_test_000",
            "figure4.case = 'phantom_test_000': allowed for kind = segmentations and error_maps",
        ),
        ("tables.table2.case", "median", "tables.table2.case = 'median': unknown key"),
    ],
)
def test_a_wrong_choice_of_scan_or_slices_is_one_line_too(place, value, message):
    with pytest.raises(ConfigError, match=rf"^{FILE}: .*{message}") as raised:
        plan(changed(place, value))
    assert "\n" not in str(raised.value)


def test_a_wrong_choice_in_a_figures_own_file_names_that_file(tmp_path):
    root = tmp_path / "config"
    shutil.copytree(CONFIG, root)
    figure = root / "figures/error_maps.yaml"
    figure.write_text(figure.read_text() + "case: nobody\n")
    with pytest.raises(ConfigError, match=rf"^{figure}: case = 'nobody': allowed are median, ph"):
        load_plan(shipped("config"), [FILE], root)


def test_an_experiments_choice_goes_over_the_figures_own(tmp_path):
    root = tmp_path / "config"
    shutil.copytree(CONFIG, root)
    figure = root / "figures/error_maps.yaml"
    figure.write_text(figure.read_text() + "case: nobody\nslices: {count: 2}\n")
    loaded = load_plan(changed("figures.error_maps.case", "phantom_test_003"), [FILE], root)
    shown = loaded.figures["error_maps"]
    assert (shown.case, shown.median_of) == ("phantom_test_003", None)
    assert shown.slices == Slices(axis="z", count=2, at=None)
    assert loaded.figures["figure2"].slices is None


@pytest.mark.parametrize("kind", ["training_curves", "threshold"])
@pytest.mark.parametrize("number", [MOST_CURVES, MOST_CURVES + 1])
def test_more_curves_than_can_be_told_apart_are_refused_before_anything_is_trained(kind, number):
    rows = [{"variant": "sgrs", "method": "sgrs", "labelled": list(range(1, number + 1))}]
    values = changed("figures.own", {**SHEET, "kind": kind, "rows": rows})
    if number <= MOST_CURVES:
        assert len(plan(values).entries("own")) == number
    else:
        with pytest.raises(
            ConfigError, match=r"config.yaml: figures\.own\.labelled = 6 curves, .* 1 to 5"
        ):
            plan(values)


def test_two_points_of_one_threshold_are_refused_and_the_methods_own_threshold_is_one():
    rows = [
        {"variant": "released", "method": "sgrs"},
        {"variant": "paper", "method": "sgrs", "settings": {"disregarded": "paper", "tau": 0.2}},
    ]
    own = {"title": "Mine", "dataset": "la", "kind": "threshold", "labelled": [4], "rows": rows}
    lines = Layout(plan(changed("figures.own", own))).lines_of_figure("own")
    assert [line["tau"] for line in lines] == [0.296, 0.2]
    rows[1]["settings"]["tau"] = 0.296
    message = r"figures\.own: rows = 'released' and 'paper' have tau = 0\.296 with 4 labelled scans"
    with pytest.raises(ConfigError, match=message):
        plan(changed("figures.own", own))


def test_a_figure_whose_choice_leaves_no_row_is_refused():
    message = (
        r"config.yaml: figures\.figure2 = methods \[\], .*nothing to show of what table2 runs; "
        "allowed are vnet with"
    )
    with pytest.raises(ConfigError, match=message):
        plan(changed("figures.figure2", {"methods": []}))


def test_a_row_that_is_not_shown_everywhere_cannot_choose_the_median():
    values = changed("figures.figure2.median_of", "sgrs")
    assert plan(values).figures["figure2"].median_of == "sgrs"
    rows = [
        {"variant": "vnet", "method": "vnet", "labelled": [4, 8]},
        {"variant": "sgrs", "method": "sgrs", "labelled": [4]},
    ]
    own = {"title": "Mine", "dataset": "la", "kind": "error_maps", "rows": rows}
    with pytest.raises(ConfigError, match=r"figures\.own\.median_of = 'sgrs': allowed are vnet$"):
        plan(changed("figures.own", {**own, "median_of": "sgrs"}))


def test_la_half_trains_each_method_once_and_the_vnet_on_all_labels_too():
    loaded = plan(shipped("la_half"), [CONFIG / "la_half.yaml"])
    table2 = {row.method for row in loaded.tables["table2"].rows}
    assert {(point.variant, point.labelled) for point in loaded.rows} == {
        *((method, 4) for method in table2),
        ("vnet", 80),
    }


def test_a_mistake_names_the_file_that_wrote_the_key(tmp_path):
    over = tmp_path / "mine.yaml"
    over.write_text("datasets: {la: {training: {iterations: many}}}")
    values = changed("datasets.la.training.iterations", "many")
    with pytest.raises(ConfigError, match=rf"^{over}: datasets\.la\.training\.iterations"):
        plan(values, [FILE, over])
    values = changed("datasets.la.training.patch", "large")
    with pytest.raises(ConfigError, match=rf"^{FILE}: datasets\.la\.training\.patch"):
        plan(values, [FILE, over])


def test_a_mistake_in_a_data_sets_own_file_names_that_file(tmp_path):
    for folder in ("datasets", "methods", "tables", "figures"):
        (tmp_path / folder).mkdir()
        for file in (CONFIG / folder).glob("*.yaml"):
            (tmp_path / folder / file.name).write_text(file.read_text())
    bad = tmp_path / "datasets/la.yaml"
    bad.write_text(bad.read_text().replace("unlabelled_patches: 2", "unlabelled_patches: two"))
    with pytest.raises(ConfigError, match=rf"^{bad}: .*unlabelled_patches = 'two'"):
        load_plan(shipped("config"), [FILE], tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  - dtc",
            "  - wnet",
            r"rows\.method = 'wnet': allowed are .*sgrs, sgrs_paper",
        ),
        ("[4, 8]", "[4, 81]", r"labelled = 81 \(row vnet\): allowed are 1 to 80"),
        ("all_labelled: true", "all: true", r"rows\.0\.all = True: unknown key"),
        ("labelled: [4, 8]\n", "", r"rows\.0\.labelled = \(missing\): allowed are one or more"),
        ("rows:", "rows_of: table9\nrows:", r"rows_of = 'table9': allowed are table2, table3"),
    ],
)
def test_a_mistake_in_a_table_names_the_tables_file(old, new, message, tmp_path):
    root = tmp_path / "config"
    shutil.copytree(CONFIG, root)
    table = root / "tables/table2.yaml"
    table.write_text(table.read_text().replace(old, new))
    values = {**shipped("paper"), "tables": {"table2": {}}, "figures": {}, "headline": []}
    with pytest.raises(ConfigError, match=message) as raised:
        load_plan(values, [CONFIG / "paper.yaml"], root)
    assert str(raised.value).startswith(str(table))


def test_a_setting_that_the_method_does_not_have_is_found_in_the_row_that_sets_it(tmp_path):
    root = tmp_path / "config"
    shutil.copytree(CONFIG, root)
    table = root / "tables/table7.yaml"
    table.write_text(table.read_text().replace("augmentation: flip_h", "augmentation: turn"))
    loaded = load_plan(shipped("paper"), [CONFIG / "paper.yaml"], root)
    message = r"rows\.flip_h\.settings\.augmentation = 'turn': allowed are 'mix'"
    with pytest.raises(ConfigError, match=message) as raised:
        check_methods(loaded)
    assert str(raised.value).startswith(str(table))


@pytest.mark.parametrize("section", ["datasets", "methods", "tables", "figures"])
def test_a_name_that_yaml_takes_for_a_number_is_to_be_quoted(section, tmp_path):
    file = tmp_path / "numbers.yaml"
    file.write_text(f"{section}: {{7: {{}}}}\n")
    with pytest.raises(ConfigError, match=rf"numbers.yaml: {section}: 7 is no name; write it in"):
        read(file)


def test_several_mistakes_are_reported_together():
    values = changed("datasets.la.training.iterations", "many")
    values["seeds"] = "none"
    with pytest.raises(ConfigError) as raised:
        plan(values)
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1, 2")
    with pytest.raises(ConfigError, match=rf"{bad}, line 1: not readable as YAML"):
        plan(shipped("config"), [bad])


@pytest.mark.parametrize("name", ["config", "la_half", "la", "paper", "equations"])
def test_the_shipped_experiments_are_right(name):
    plan(shipped(name), [CONFIG / f"{name}.yaml"])


def test_paper_yaml_is_the_papers_setting():
    training = plan(shipped("paper"), [CONFIG / "paper.yaml"]).dataset("la").training
    assert (training.iterations, training.patch, training.base_filters) == (
        15_000, (112, 112, 80), 16,
    )  # fmt: skip
    assert (training.ramp_iterations, training.ramp_block) == (6_000, 150)


def test_runs_that_tables_share_are_one_run():
    paper = plan(shipped("paper"), [CONFIG / "paper.yaml"])
    layout = Layout(paper)
    tables = ("table2", "table5", "table6", "table7")  # those of LA
    shared = {name: set(layout.scores_of_table(name)) for name in tables}
    full = "results/paper/la/labelled-4/sgrs/seed-0/last/scores.csv"
    assert all(full in files for files in shared.values())
    same = "results/paper/la/labelled-4/sgrs+delta=con+theta=con/seed-0/last/scores.csv"
    assert same in shared["table5"] & shared["table6"]


@pytest.mark.parametrize(
    ("dataset", "labelled", "parts"),
    [("la", "4", ["train", "test"]), ("brats2019", "12", ["train", "validation"])],
)
def test_a_run_reads_the_scans_of_its_lists_and_waits_for_all_lists_before_it_is_trained(
    dataset, labelled, parts, tmp_path, monkeypatch
):
    layout = Layout(plan(shipped("paper"), [CONFIG / "paper.yaml"]))
    monkeypatch.chdir(tmp_path)
    run = SimpleNamespace(dataset=dataset, labelled=labelled, variant="sgrs", seed="0")
    lists = [f"results/paper/volumes/{dataset}.{part}.sha256" for part in parts]
    waited_for = layout.prepared_for_run(run)
    assert set(lists) <= set(waited_for)
    assert f"results/paper/volumes/{dataset}.test.sha256" in waited_for
    results = (layout.model, layout.training_log, layout.record)
    made = [one.format(**vars(run)) for one in results] + layout.volumes_of_run(run)
    for file in map(Path, made):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert layout.prepared_for_run(run) == lists
    listed = [file for part in parts for file in layout.volumes_of_part(dataset, part)]
    assert set(layout.volumes_of_run(run)) == set(listed)


def test_every_published_row_of_an_ablation_is_run():
    published = pandas.read_csv(CONFIG / "published.csv")
    paper = plan(shipped("paper"), [CONFIG / "paper.yaml"])
    for name, table in paper.tables.items():
        printed = published[published["table"] == table.published_table]
        ours = {(entry.row.variant, entry.labelled) for entry in paper.entries(name)}
        missing = set(zip(printed["variant"], printed["labelled"], strict=True)) - ours
        comparators = {"dtc", "urpc", "ssnet", "mcnet_plus", "caml", "cobionet", "bcp", "mcf"}
        assert {variant for variant, _ in missing} <= comparators


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"reference": "nobody"}, "reference = 'nobody': allowed are vnet, dtc, .*sgrs_paper"),
        ({"upper_bound": "nobody"}, "upper_bound = 'nobody': allowed are vnet"),
        ({"margin": {"dice": 0.0}}, "margin.dice = 0.0: allowed are numbers above 0"),
        ({"margin": {"dce": 1.0}}, "margin.dce = 1.0: unknown key; allowed are asd, dice, hd95"),
        ({"confidence": 1.0}, "confidence = 1.0: allowed are numbers from 0.5 to below 1"),
    ],
)
def test_a_wrong_way_of_judging_a_table_is_one_line_too(value, message):
    with pytest.raises(ConfigError, match=rf"^{FILE}: tables.table2.{message}") as raised:
        plan(changed("tables.table2", value))
    assert "\n" not in str(raised.value)


def test_a_table_written_out_names_its_reference_among_its_rows():
    with pytest.raises(ConfigError, match=r"tables.mine.reference = 'sgrs': allowed are vnet, or"):
        plan(changed("tables.mine", {**SHEET, "reference": "sgrs"}))
    assert plan(changed("tables.mine", SHEET)).tables["mine"].reference == "sgrs"  # and has none


def test_an_experiment_judges_a_shipped_table_in_its_own_way():
    own = {"margin": {"dice": 0.5}, "confidence": 0.9, "reference": "bcp"}
    wanted = {**shipped("config")["tables"]["table2"], **own}
    table = plan(changed("tables.table2", wanted)).tables["table2"]
    assert (table.margin.dice, table.margin.jaccard) == (0.5, 1.5)
    assert (table.confidence, table.reference, table.upper_bound) == (0.9, "bcp", "vnet")


def test_a_choice_of_tables_hides_no_mistake_in_the_data_sets():
    for wrong in (True, None):
        with pytest.raises(ConfigError, match=rf"^{FILE}: datasets = {wrong}: allowed are"):
            plan({**shipped("config"), "only": ["table2"], "datasets": wrong})


@pytest.mark.parametrize("figure", ["figure2", "training_curves", "error_maps", "paired_scores"])
def test_a_figure_made_alone_has_no_runs_that_its_table_leaves_out(figure):
    values = shipped("la_half")
    values["tables"]["table2"] = {"methods": ["sgrs", "vnet"], "labelled": [4]}
    loaded = plan({**values, "only": [figure]})
    assert set(loaded.sheets) == {figure}
    assert set(loaded.experiment.headline) <= {figure}
    assert loaded.rows.keys() == plan(values).rows.keys()


def test_a_warning_names_the_rows_that_it_is_about():
    values = shipped("la_half")
    short = {"method": "dtc", "labelled": [4], "training": {"iterations": 100}}
    values["tables"]["own"] = {"title": "Own", "dataset": "la", "rows": [short]}
    of_weights, of_choice = plan(values).warnings()
    assert of_choice.startswith("la: of dtc+training.iterations=100, best_on_test can only be the")
    assert of_weights.startswith(
        "la: of dtc+training.iterations=100, the weight of unlabelled scans grows over "
        "ramp_iterations = 960, and the training ends before, after iterations = 100"
    )


def test_that_weights_grow_beyond_the_training_is_of_no_matter_with_all_labels():
    values = shipped("la_half")
    short = {"method": "vnet", "labelled": [80]}
    short["training"] = {"iterations": 900, "selection_from": 200}
    values["tables"]["own"] = {"title": "Own", "dataset": "la", "rows": [short]}
    assert plan(values).warnings() == []


def test_rows_are_taken_from_the_table_that_writes_them():
    own = {"title": "Own", "dataset": "pancreas", "rows_of": "table3", "labelled": [3]}
    with pytest.raises(ConfigError, match=r"rows_of = 'table3': .* name that one, table2"):
        plan(changed("tables.own", own))


def test_null_takes_a_tables_tests_and_a_figures_slices_away():
    values = changed("tables.table2.reference", None)
    values["figures"]["figure2"] |= {"slices": {"count": 2}}
    assert plan(values).tables["table2"].reference is None
    assert plan(values).tables["table2"].upper_bound == "vnet"
    wanted = FigureFilter(slices=None, case=None)
    chosen = plan(values).figures["figure2"].with_choice_of(wanted)
    assert (chosen.slices, chosen.case) == (None, "median")


def lines_by_name(values, name: str, table: str) -> dict[tuple[str, int], dict]:
    lines = Layout(plan(values, [CONFIG / f"{name}.yaml"])).lines_of_table(table)
    return {(line["variant"], line["labelled"]): line for line in lines}


def test_each_line_says_how_its_published_number_was_chosen():
    chosen = {
        name: line["published_selection"]
        for (name, _), line in lines_by_name(shipped("paper"), "paper", "table2").items()
    }
    of_last = {name for name, selection in chosen.items() if selection == "last"}
    assert of_last == {"vnet", "dtc", "caml", "mcf"}
    assert set(chosen.values()) == {"last", "best_on_test"}
    brats = lines_by_name(shipped("paper"), "paper", "table4")
    assert brats["dtc", 12]["published_selection"] == "best_on_validation"  # the data set's


@pytest.mark.parametrize(
    "change",
    [
        {"downsample": 2},
        {"spacing": [0.625, 0.625, 1.25]},
        {"published_spacing": None},
        {"downsample": 2, "spacing": [0.3125, 0.3125, 0.3125]},
        {"validation_scans": 1, "selections": ["best_on_test", "best_on_validation"]},
        {"splits": {"test": ["a", "b"], "counts": {"train": 80, "test": 2}}},
        {
            "source": "phantom",
            "phantom": {"train_scans": 80, "test_scans": 20, "shape": [48, 48, 24], "seed": 1},
        },
    ],
    ids=lambda change: next(iter(change)),
)
def test_on_other_scans_or_voxels_no_published_number_may_stand(change):
    values = shipped("paper")
    values["datasets"]["la"] |= change
    lines = lines_by_name(values, "paper", "table2").values()
    assert {line["published_selection"] for line in lines} == {None}


def test_scans_to_choose_by_are_held_out_only_where_a_checkpoint_is_chosen_by_them():
    values = shipped("paper")
    values["datasets"]["la"]["validation_scans"] = 1
    lines = lines_by_name(values, "paper", "table2").values()
    assert None not in {line["published_selection"] for line in lines}


def test_the_published_lists_in_other_words_are_the_published_lists():
    values = shipped("paper")
    names = (CONFIG / "splits/la/test.list").read_text().split()
    values["datasets"]["la"]["splits"] = {"test": names}
    lines = lines_by_name(values, "paper", "table2").values()
    assert None not in {line["published_selection"] for line in lines}


def test_rows_that_an_experiment_leaves_out_have_no_score_files():
    lines = lines_by_name(shipped("la_half"), "la_half", "table2")
    run = {key for key, line in lines.items() if line["scores"]}
    assert run == {(method, 4) for method, _ in lines} | {("vnet", 80)}
    assert lines["vnet", 80]["upper_bound"]
    assert not lines["vnet", 8]["upper_bound"]
    assert [key for key, line in lines.items() if line["reference"]] == [("sgrs", 4), ("sgrs", 8)]


def test_each_ablation_is_tested_against_the_full_method():
    paper = plan(shipped("paper"), [CONFIG / "paper.yaml"])
    for name in ("table5", "table6", "table7"):
        (row,) = [r for r in paper.tables[name].rows if r.variant == paper.tables[name].reference]
        assert (row.method, row.settings) == ("sgrs", {})


def test_labelled_scans_are_the_first_of_the_list_and_validation_is_carved_from_their_end():
    values = changed("selections", ["last", "best_on_validation"])
    for name in ("la", "pancreas"):
        values["datasets"][name]["validation_scans"] = 1
    run = plan(values).run(Point("la", 4, "sgrs", 0))
    assert run.labelled == ("phantom_train_000", "phantom_train_001", "phantom_train_002")
    assert run.selection_scans["best_on_validation"] == ("phantom_train_003",)
    assert run.unlabelled[0] == "phantom_train_004"


def test_only_best_on_test_lets_training_read_test_scans():
    for selections in (["last"], ["last", "best_on_test"]):
        loaded = plan(changed("selections", selections))
        run = loaded.run(Point("la", 4, "sgrs", 0))
        judges = [scan for scans in run.selection_scans.values() for scan in scans]
        assert bool(judges) is ("best_on_test" in selections)


def test_null_leaves_a_data_set_its_table_and_its_headline_out():
    values = shipped("paper")
    over = yaml.safe_load((CONFIG / "without_brats2019.yaml").read_text())
    for group, changes in over.items():
        values[group] |= changes
    loaded = plan(values)
    assert set(loaded.experiment.datasets) == {"la", "pancreas"}
    assert "table4" not in [*loaded.tables, *loaded.experiment.headline]


def test_brats2019_is_selected_on_its_validation_scans_as_published():
    paper = plan(shipped("paper"))
    assert paper.selections("la") == ["last", "best_on_test"]
    run = paper.run(Point("brats2019", 12, "sgrs", 0))
    assert {name: len(scans) for name, scans in run.selection_scans.items()} == {
        "last": 0,
        "best_on_validation": 25,
    }


def from_tcia():
    values = shipped("paper")
    values["datasets"]["pancreas"]["source"] = "tcia"
    return plan(values)


def test_withdrawn_scans_are_left_out_recorded_warned_of_and_noted_beneath_tables():
    loaded = from_tcia()
    run = loaded.run(Point("pancreas", 62, "vnet", 0))
    assert len(run.labelled) == 61
    assert run.absent == ("image0025", "image0070")
    assert len(run.selection_scans["best_on_test"]) == 19
    (warning,) = loaded.warnings()
    assert "2 of 82 scans are left out, image0025, image0070: withdrawn by TCIA" in warning
    assert "Without image0025, image0070" in loaded.note_of("table3")
    assert "image0025" not in loaded.note_of("table2")


@pytest.mark.parametrize(
    ("labelled", "held_out", "method", "message"),
    [
        (1, 0, "vnet", "labelled = 1 .row vnet.: none of the first 1 training scans of pancreas"),
        (2, 1, "vnet", "2 labelled scans, 1 of which are there, .* = 1: none can be held out"),
        (3, 2, "vnet", "3 labelled scans, 2 of which are there, .* = 2: allowed are 1 to 1"),
        (3, 0, "sgrs", "labelled = 3 .row sgrs.: allowed are up to 2 of the 4 training scans"),
    ],
)
def test_labels_are_asked_for_of_scans_that_are_there(labelled, held_out, method, message):
    values = shipped("paper")
    train = ["image0070", "image0001", "image0002", "image0025"]
    values["datasets"] = {
        "pancreas": {
            "source": "idc",
            "splits": {"train": train, "test": ["image0005"], "counts": None},
            "validation_scans": held_out,
        }
    }
    values["selections"] = ["last", "best_on_validation"] if held_out else ["last"]
    rows = [{"method": method, "labelled": [labelled]}]
    values["tables"] = {"own": {"title": "Own", "dataset": "pancreas", "rows": rows}}
    with pytest.raises(ConfigError, match=message):
        check_methods(plan({**values, "figures": {}, "headline": []}))


def test_a_folder_that_is_not_read_is_said():
    values = shipped("la_half")
    assert plan(values).warnings() == []
    values["datasets"]["la"]["folder"] = "/scans"
    assert plan(values).warnings() == ["la: folder = /scans is not read, because source = mirror"]
    values["datasets"]["la"] |= {"folder": None, "validation_scans": 2}
    assert plan(values).warnings() == [
        "la: validation_scans = 2 is not read, because best_on_validation is not among selections"
    ]


@pytest.mark.parametrize("before", [1, 2])
def test_scans_that_came_downsampled_stand_beside_no_published_number(before, tmp_path):
    """Their own files say so; the configuration, which leaves them as they are, does not."""
    values = {**shipped("paper"), "only": ["table2"]}
    values["datasets"]["la"] = {"source": "local", "folder": str(tmp_path)}
    loaded = plan(values)
    assert loaded.comparable == {"la"}
    (file,) = loaded.dataset("la").files_of(loaded.splits["la"].train[0])
    Path(file).parent.mkdir(parents=True)
    image = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    write_volume(Path(file), Volume(image, None, provenance={"downsample": str(before)}))
    assert plan(values).comparable == ({"la"} if before == 1 else set())


def test_a_number_of_labelled_scans_counts_the_published_list():
    """What is withdrawn changes no row whose labelled scans are all there."""
    withdrawn, whole = from_tcia(), plan(shipped("paper"))
    point = Point("pancreas", 6, "sgrs", 0)
    assert withdrawn.run(point).labelled == whole.run(point).labelled
    assert len(whole.run(point).unlabelled) == 56
    assert len(withdrawn.run(point).unlabelled) == 55


def test_a_missing_scan_is_named_before_any_job(tmp_path):
    values = shipped("paper")
    values["datasets"]["brats2019"]["folder"] = str(tmp_path)
    loaded = plan(values)
    with pytest.raises(
        ConfigError, match=r"config\.yaml: datasets\.brats2019\.folder = .*335 of 335"
    ):
        check_scans(loaded)


OWN = {
    "experiment": "own",
    "seeds": [0],
    "selections": ["last"],
    "datasets": {
        "mine": {
            "title": "Mine",
            "format": "nifti",
            "source": "raw",
            "folder": "/scans",
            "nifti": {"foreground": [1, 2]},
            "splits": {"train": ["a", "b"], "test": ["c"]},
            "training": {},
            "inference": {},
        }
    },
    "tables": {
        "mine": {
            "title": "Mine",
            "dataset": "mine",
            "rows": [{"variant": "vnet", "method": "vnet", "labelled": [1]}],
        }
    },
}


def test_one_file_may_hold_a_data_set_and_a_table_of_ones_own():
    loaded = plan(copy.deepcopy(OWN))
    assert loaded.run(Point("mine", 1, "vnet", 0)).labelled == ("a",)
    assert loaded.preparation("mine")["options"]["foreground"] == (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda values: values["tables"]["mine"]["rows"][0].update(labelled=["x"]),
            r"tables\.mine\.rows\.0\.labelled\.0 = 'x': allowed are whole numbers",
        ),
        (
            lambda values: values["tables"]["mine"]["rows"][0].update(labelled=[3]),
            r"tables\.mine\.labelled = 3 \(row vnet\): allowed are 1 to 2",
        ),
        (
            lambda values: values["datasets"]["mine"]["nifti"].update(foreground=[0]),
            r"datasets\.mine\.nifti\.foreground = \[0\]: allowed are label values other than 0",
        ),
        (
            lambda values: values["datasets"]["mine"].update(nifti=5),
            r"datasets\.mine\.nifti = 5: allowed are null; or keys and values: crop, foreground,",
        ),
        (
            lambda values: values["datasets"]["mine"]["nifti"].update(window=[-math.inf, math.inf]),
            r"mine\.nifti\.window = \[-inf, inf\]: allowed are a lowest and a higher one, both fin",
        ),
        (
            lambda values: values["datasets"]["mine"]["nifti"].update(margin=0),
            r"datasets\.mine\.nifti\.margin = 0: allowed are whole numbers from 1; or null",
        ),
        (
            lambda values: values["datasets"].update({"a|b": values["datasets"]["mine"]}),
            r"datasets\.a\|b\.\[key\] = 'a\|b': allowed are 1 to 100 letters, digits",
        ),
        (
            lambda values: values["datasets"]["mine"].pop("nifti"),
            r"datasets\.mine\.nifti = None: format = nifti needs this key",
        ),
    ],
)
def test_a_mistake_in_ones_own_file_names_it_and_the_key(change, message, tmp_path):
    values = copy.deepcopy(OWN)
    change(values)
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=message) as raised:
        plan(values, [file])
    assert str(raised.value).startswith(str(file))


def merged(values, over):
    """What Snakemake makes of two config files."""
    if not isinstance(values, dict) or not isinstance(over, dict):
        return over
    return {**values, **{key: merged(values.get(key), value) for key, value in over.items()}}


PAGES = ["README.md", "docs/data.md", "docs/figures.md"]
SHOWN = [
    yaml.safe_load(block)
    for page in PAGES
    for block in re.findall(
        r"```yaml\n(.*?)```", (CONFIG.parent / page).read_text(encoding="utf-8"), re.DOTALL
    )
]


@pytest.mark.parametrize("over", SHOWN, ids=str)
def test_the_settings_that_the_pages_show_are_right(over):
    plan(merged(shipped("paper"), over))


def test_a_data_sets_settings_of_a_method_go_over_the_methods_file_and_under_a_rows():
    values = changed("datasets.la.methods", {"sgrs_paper": {"noise": 0.1, "epsilon": 0.3}})
    rows = [
        {"variant": "plain", "method": "sgrs_paper", "labelled": [4]},
        {"variant": "own", "method": "sgrs_paper", "settings": {"noise": 0.2}, "labelled": [4]},
    ]
    values["tables"] = {"own": {"title": "Own", "dataset": "la", "rows": rows}}
    values |= {"headline": ["own"], "figures": {}}
    runs = {point.variant: plan(values).run(point).settings for point in plan(values).rows}
    file = yaml.safe_load((CONFIG / "methods" / "sgrs_paper.yaml").read_text())["settings"]
    assert runs["sgrs_paper"] == {**file, "noise": 0.1, "epsilon": 0.3}
    assert runs["sgrs_paper+noise=0.2"] == {**file, "noise": 0.2, "epsilon": 0.3}


def test_a_table_takes_its_rows_from_another_and_its_own_numbers_of_labels():
    loaded = plan(shipped("paper"))
    methods = [row.method for row in loaded.tables["table2"].rows]
    assert [row.method for row in loaded.tables["table3"].rows] == methods
    assert loaded.tables["table3"].rows[0].labelled == [3, 6, 62]  # V-Net with all labels, too
    assert {tuple(row.labelled) for row in loaded.tables["table3"].rows[1:]} == {(3, 6)}
    # A figure shows no run on all labels.
    assert {tuple(row.labelled) for row in loaded.figures["figure2"].rows} == {(4, 8)}


def test_a_table_goes_without_the_methods_that_are_left_out():
    loaded = plan(changed("tables.table2", {"labelled": [4], "without": ["dtc", "sgrs_paper"]}))
    methods = {entry.row.method for entry in loaded.entries("table2")}
    assert "urpc" in methods
    assert not methods & {"dtc", "sgrs_paper"}
    with pytest.raises(ConfigError, match=r"tables.table2.without = 'dct': allowed are .*dtc"):
        plan(changed("tables.table2", {"without": ["dct"]}))
