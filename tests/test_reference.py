"""The committed results of real runs: their tables follow from their scores."""

import json

import pytest

from tests.places import PROJECT
from tests.recompute import check_table, read

REFERENCE = PROJECT / "results/reference"
TABLES = sorted(REFERENCE.glob("*/tables/table*.csv"))


@pytest.mark.parametrize("file", TABLES, ids=str)
def test_every_number_in_a_committed_table_follows_from_the_committed_scores(file):
    assert check_table(file.parents[1], file.stem) > 0


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
