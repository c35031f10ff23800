"""What jobs are told of the files that they read and of the rows that they show."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgrs_core.experiment.layout import Layout
from tests.synthetic_results import plan_of_quick


def alike(plan, sheet: str):
    """A copy of a plan in which all rows of a table or figure have one title."""
    group = plan.tables if sheet in plan.tables else plan.figures
    rows = [row.model_copy(update={"title": "Ours"}) for row in group[sheet].rows]
    group[sheet] = group[sheet].model_copy(update={"rows": rows})
    return plan


@pytest.mark.parametrize("sheet", ["table2", "figure2"])
def test_rows_of_one_title_are_told_apart_in_tables_and_figures(sheet):
    layout = Layout(alike(plan_of_quick(), sheet))
    lines = layout.lines_of_table if sheet == "table2" else layout.lines_of_figure
    shown = [(line["title"], line["variant"]) for line in lines(sheet)]
    assert ("Ours (vnet)", "vnet") in shown
    assert len({title for title, _ in shown}) == len({variant for _, variant in shown}) > 1


def test_a_title_that_one_variant_has_stays_as_it_is():
    titles = {line["title"] for line in Layout(plan_of_quick()).lines_of_table("table2")}
    assert {"V-Net", "SGRS-Net"} <= titles


def test_benchmarks_are_inputs_unless_scores_are_older_than_benchmarks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = Layout(plan_of_quick())
    every = layout.inputs_of_cost()["benchmarks"]
    asked = {file for line in layout.lines_of_cost() for run in line["runs"]
             for file in run["evaluations"]}  # fmt: skip
    assert set(every) == asked
    old, new = map(Path, every[:2])
    for file in (old, new):
        file.parent.mkdir(parents=True)
        file.with_name("scores.csv").touch()
    new.touch()
    assert layout.inputs_of_cost()["benchmarks"] == every[1:]


VARIANTS = "sgrs, sgrs+augmentation=flip_h, sgrs+augmentation=flip_v, vnet"


@pytest.mark.parametrize(
    ("labelled", "variant", "seed", "there_are"),
    [
        ("4", "my_row", "0", f"4 labelled scans it has {VARIANTS}, with seeds [0, 1]"),
        ("4", "vnet", "7", f"4 labelled scans it has {VARIANTS}, with seeds [0, 1]"),
        ("7", "vnet", "0", "7 labelled scans it has none; its numbers of labelled scans are [4]"),
    ],
)
def test_a_run_that_no_table_has_is_refused_beside_those_that_there_are(
    labelled, variant, seed, there_are
):
    asked = SimpleNamespace(dataset="la", labelled=labelled, variant=variant, seed=seed)
    refused = f"has a run {variant}, seed {seed}; of la with {there_are}"
    with pytest.raises(ValueError, match=re.escape(refused)):
        Layout(plan_of_quick()).run_of(asked)
