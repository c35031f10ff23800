"""The committed results of real runs: their tables follow from their scores."""

import json

import pytest
import yaml

from tests.places import PROJECT
from tests.recompute import called_as_its_row, check_table, read

REFERENCE = PROJECT / "results/reference"
TABLES = sorted(REFERENCE.glob("*/tables/table*.csv"))


@pytest.mark.parametrize("file", TABLES, ids=str)
def test_every_number_in_a_committed_table_follows_from_the_committed_scores(file):
    of_ablations = file.parents[1].name == "ablations"
    assert check_table(file, runs_of_ablation if of_ablations else called_as_its_row) > 0


def runs_of_ablation(file, row):
    """They are called after the settings of their row; the whole method's lie elsewhere."""
    sheet = yaml.safe_load((PROJECT / f"config/tables/{file.stem}.yaml").read_text("utf-8"))
    (line,) = [one for one in sheet["rows"] if one["variant"] == row["method"]]
    settings = [f"{key}={value}" for key, value in sorted(line.get("settings", {}).items())]
    folder = f"la/labelled-4/{'+'.join(['sgrs', *settings])}"
    places = ("ablations", "la_half_other_hardware", "la_half_ten_methods")
    records = [one for place in places for one in REFERENCE.glob(f"{place}/{folder}/*/record.json")]
    made = [one for one in records if json.loads(one.read_text())["training"]["device"] == "cpu"]
    return [record.parent for record in made]


@pytest.mark.parametrize("file", sorted(REFERENCE.glob("*/*/*/*/*/record.json")), ids=str)
def test_each_committed_run_says_with_what_and_when_it_was_made(file):
    record = json.loads(file.read_text())
    assert record["commit"] != "unknown"
    assert record["processor"]
    assert record["finished"] > "2026"
    for scores in file.parent.glob("*/scores.csv"):
        assert len(read(scores)) == 20


def test_sgrs_net_learns_more_from_four_labelled_scans_than_v_net_on_real_data():
    def dice(method: str) -> float:
        run = REFERENCE / f"la_half_ten_methods/la/labelled-4/{method}/seed-0/last/scores.csv"
        values = [float(line["dice"]) for line in read(run)]
        return sum(values) / len(values)

    assert dice("sgrs") > dice("vnet") + 0.1
