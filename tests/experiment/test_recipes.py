"""Recipes: whose settings a row is run with, and what of them is refused before any job."""

import copy
from pathlib import Path

import pytest
import yaml

from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.plan import Plan, variant_of
from sgrs_core.experiment.planning import load_plan
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.schema import Row
from sgrs_core.methods.check import check_methods
from tests.places import CONFIG

PAPER = yaml.safe_load((CONFIG / "paper.yaml").read_text(encoding="utf-8"))
PAPER["datasets"]["brats2019"]["folder"] = "/scans/brats"


def plan(recipe: str = "official", root: Path = CONFIG, **changes) -> Plan:
    """The paper's experiment by a recipe; changes: of its top keys."""
    values = {**copy.deepcopy(PAPER), "recipe": recipe, **changes}
    loaded = load_plan(values, [CONFIG / "paper.yaml"], root)
    check_methods(loaded)
    return loaded


def run_of(loaded: Plan, method: str, dataset: str = "la", labelled: int = 4) -> Run:
    (point,) = (
        point
        for point, row in loaded.rows.items()
        if (point.dataset, point.labelled, point.seed) == (dataset, labelled, 0)
        and (row.method, row.settings) == (method, {})
    )
    return loaded.run(point)


@pytest.fixture(scope="module")
def official() -> Plan:
    return plan()


@pytest.fixture(scope="module")
def shared() -> Plan:
    return plan("shared")


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("vnet", {"iterations": 6_000, "labelled_patches": 4}),
        ("dtc", {"iterations": 6_000, "largest_component": True}),
        ("ssnet", {"iterations": 15_000, "selection_from": 2_000, "largest_component": True}),
        ("mcnet_plus", {"iterations": 15_000, "selection_from": 800}),
        ("cobionet", {"augmentation": "none", "largest_component": True, "selection_every": 100}),
        (
            "bcp",
            {"iterations": 17_000, "labelled_patches": 4, "unlabelled_patches": 4,
             "largest_component": True},
        ),
        ("mcf", {"iterations": 6_000, "augmentation": "none", "largest_component": False}),
        ("sgrs", {"iterations": 15_000, "augmentation": "rotate_flip"}),
    ],
)  # fmt: skip
def test_on_la_each_method_has_its_authors_recipe(method, expected, official):
    run = run_of(official, method)
    found = vars(run.training) | vars(run.inference)
    assert {key: found[key] for key in expected} == expected
    assert run.recipe == "official"


def test_in_the_shared_recipe_all_methods_have_one_loop(shared):
    methods = {row.method for row in shared.tables["table2"].rows}
    runs = [run_of(shared, method) for method in methods]
    assert len({run.training for run in runs}) == len({run.inference for run in runs}) == 1
    assert {run.recipe for run in runs} == {"shared"}


def test_where_no_recipe_is_published_a_method_falls_back_to_the_shared_one(official, shared):
    for method, dataset, labelled in (("urpc", "la", 4), ("mcf", "pancreas", 3)):
        run = run_of(official, method, dataset, labelled)
        assert run == run_of(shared, method, dataset, labelled)
        assert run.recipe == "shared"


def test_a_recipe_can_depend_on_the_number_of_labelled_scans(official):
    shares = [run_of(official, "caml", labelled=count).settings for count in (4, 8)]
    assert shares == [{}, {"ramp_share": 0.5}]


def test_what_the_experiment_writes_goes_over_recipes_and_rows_over_both():
    datasets = copy.deepcopy(PAPER["datasets"])
    datasets["la"]["training"]["iterations"] = 300
    datasets["la"]["methods"] = {"caml": {"ramp_share": 0.7}}
    row = {"variant": "dtc", "method": "dtc", "labelled": [4], "training": {"iterations": 20}}
    own = {"title": "Mine", "dataset": "la", "rows": [row]}
    loaded = plan(datasets=datasets, tables={**PAPER["tables"], "own": own})
    assert run_of(loaded, "mcf").training.iterations == 300
    assert run_of(loaded, "mcf").training.augmentation == "none"  # of the recipe
    assert run_of(loaded, "caml", labelled=8).settings == {"ramp_share": 0.7}
    mine, *_ = (point for point in loaded.rows if point.variant == "dtc+training.iterations=20")
    assert loaded.run(mine).training.iterations == 20


def test_both_recipes_can_stand_in_one_table():
    rows = [
        {"variant": name, "method": "mcf", "recipe": name, "labelled": [4]}
        for name in ("shared", "official")
    ]
    own = {"title": "Both", "dataset": "la", "rows": rows}
    loaded = plan("shared", tables={"own": own}, figures={}, headline=[])
    runs = {point.variant: loaded.run(point) for point in loaded.rows if point.seed == 0}
    assert {name: run.training.iterations for name, run in runs.items()} == {
        "mcf+recipe=shared": 15_000,
        "mcf+recipe=official": 6_000,
    }


def test_a_runs_folder_names_all_that_its_row_changes_without_commas():
    row = Row(
        variant="any",
        method="sgrs",
        settings={"delta": "con"},
        training={"patch": [32, 32, 16]},
        inference={"largest_component": True},
        recipe="official",
        labelled=[4],
    )
    assert variant_of(row) == (
        "sgrs+delta=con+training.patch=32x32x16+inference.largest_component=True+recipe=official"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"training": {"iteration": 3}}, r"own\.rows\.mine\.training\.iteration = 3: unknown key"),
        (
            {"training": {"iterations": "a"}},
            r"training\.iterations = 'a': allowed are whole numbers",
        ),
        (
            {"inference": {"stride": [200, 8, 8]}},
            r"rows\.mine\.inference\.stride = \[200, 8, 8\]: ",
        ),
        ({"recipe": "mine"}, r"rows\.0\.recipe = 'mine': allowed are 'shared', 'official'"),
    ],
)
def test_a_rows_own_mistakes_are_named(row, message):
    own = {
        "title": "Mine",
        "dataset": "la",
        "rows": [{"variant": "mine", "method": "vnet", "labelled": [4], **row}],
    }
    with pytest.raises(ConfigError, match=message):
        plan(tables={**PAPER["tables"], "own": own})


def test_a_recipes_own_mistakes_are_named_with_its_methods_file(tmp_path):
    for shipped in ("datasets", "methods", "tables", "figures", "splits", "published.csv"):
        (tmp_path / shipped).symlink_to(CONFIG / shipped)
    (tmp_path / "methods").unlink()
    (tmp_path / "methods").mkdir()
    for file in (CONFIG / "methods").glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        (tmp_path / "methods" / file.name).write_text(text.replace("iterations: 6000", "iter: 9"))
    with pytest.raises(ConfigError, match=r"methods/\w+\.yaml: official\.la\.training\.iter = 9"):
        plan(root=tmp_path)


def test_a_recipe_that_trains_on_chosen_weights_needs_their_selection():
    with pytest.raises(
        ConfigError, match=r"row bcp, recipe official\): bcp trains on from weights"
    ):
        plan(selections=["last"])
    plan("shared", selections=["last"])


@pytest.mark.parametrize("name", ["stride", "selection_stride"])
def test_windows_that_leave_voxels_uncovered_are_refused(name):
    datasets = copy.deepcopy(PAPER["datasets"])
    datasets["la"]["inference"] = {name: [113, 8, 8]}
    with pytest.raises(ConfigError, match=rf"datasets\.la\.inference\.{name} = \[113, 8, 8\]: "):
        plan(datasets=datasets)


def test_models_from_when_the_largest_component_was_a_methods_setting_still_load(official):
    description = run_of(official, "mcf").description()
    old = {**description, "method": "dtc", "settings": {"largest_component": True}}
    old.pop("recipe")
    run = Run.from_description(old)
    assert run.settings == {}
    assert run.inference.largest_component
    assert run.recipe == "shared"


def test_numbers_of_patches_that_a_method_cannot_use_are_refused_before_any_job():
    datasets = copy.deepcopy(PAPER["datasets"])
    datasets["la"]["training"] = {"labelled_patches": 3}
    with pytest.raises(ConfigError, match=r"rows.bcp: training: labelled_patches = 3, unlabelled"):
        plan("shared", datasets=datasets)
