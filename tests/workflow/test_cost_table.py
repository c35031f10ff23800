"""The cost table of a whole run follows from its records and Snakemake's benchmark files."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.recompute import read
from tests.workflow.conftest import SMALL

pytestmark = pytest.mark.slow


def seconds(benchmark: Path) -> float:
    with benchmark.open() as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    return float(row["s"])


def test_every_hour_follows_from_records_and_benchmarks(small):
    rows = read(small / "results/quick/tables/cost.csv")
    assert [(row["table"], row["method"]) for row in rows] == [
        ("table2", "vnet"), ("table2", "sgrs"),
    ]  # fmt: skip
    for row in rows:
        runs = small / f"results/quick/la/labelled-{row['labelled']}/{row['method']}"
        records = [json.loads(file.read_text()) for file in runs.glob("*/record.json")]
        trained = [record["training"]["seconds"] / 3600 for record in records]
        evaluated = [seconds(file) / 3600 for file in runs.glob("*/*/benchmark.tsv")]
        assert (len(trained), len(evaluated)) == (2, 4)
        assert float(row["training_hours"]) == pytest.approx(sum(trained), abs=1e-4)
        assert float(row["training_hours_mean"]) == pytest.approx(sum(trained) / 2, abs=1e-4)
        assert float(row["evaluation_hours"]) == pytest.approx(sum(evaluated), abs=1e-4)
        assert float(row["evaluation_hours"]) > 0
        assert row["starts"] == "2"


def test_a_run_keeps_the_benchmark_of_its_training_and_nothing_unfinished(small):
    for record in (small / "results/quick/la").glob("*/*/*/record.json"):
        facts = json.loads(record.read_text())["training"]
        assert facts["starts"] == 1
        assert facts["wall_seconds"] <= seconds(record.with_name("benchmark.tsv"))
        assert not record.with_name("unfinished").exists()


def test_the_markdown_says_what_is_counted(small):
    text = (small / "results/quick/tables/cost.md").read_text(encoding="utf-8")
    assert SMALL["note"] in text
    assert "Each run counted once: 4 runs," in text


def test_results_from_before_there_were_benchmarks_are_not_computed_again(
    small, snakemake, tmp_path
):
    folder = shutil.copytree(small, tmp_path / "copy")
    kept = list(folder.rglob("benchmark.tsv"))
    assert kept
    for file in kept:
        file.unlink()
    again = snakemake("all", folder=folder, changes=SMALL, options=["--dry-run"])
    assert "Nothing to be done" in again.stdout + again.stderr
