"""The cost table says what its files say, and nothing where they say nothing."""

import json
from pathlib import Path

import pandas
import pytest

from sgrs_core.reporting.costs import benchmark_seconds, cost_table, to_markdown

HEADER = "s\th:m:s\tmax_rss\tmax_vms\n"


@pytest.fixture
def run(tmp_path):
    """Writes the files of a run and returns where they are."""

    def write(name: str, evaluations=(3600.0,), **training) -> dict:
        record = tmp_path / name / "record.json"
        record.parent.mkdir()
        record.write_text(json.dumps({"training": training}))
        files = [record.with_name(f"{number}.tsv") for number in range(len(evaluations))]
        for file, seconds in zip(files, evaluations, strict=True):
            file.write_text(f"{HEADER}{seconds}\t1:00:00\tNA\tNA\n")
        return {"record": str(record), "evaluations": [str(file) for file in files]}

    return write


def line(*runs: dict, table="table2", method="sgrs", labelled=4) -> dict:
    return {
        "table": table,
        "method": method,
        "recipe": "shared",
        "labelled": labelled,
        "runs": runs,
    }


def test_a_line_adds_up_its_seeds(run):
    one = run("one", (900, 900), seconds=7200, gpu_seconds=9000, starts=3)
    other = run("other", (1800, 0), seconds=3600, gpu_seconds=0, starts=1)
    (row,) = cost_table([line(one, other)]).to_dict("records")
    assert row == {
        "table": "table2",
        "method": "sgrs",
        "recipe": "shared",
        "labelled": 4,
        "runs": 2,
        "training_hours_mean": 1.5,
        "training_hours": 3.0,
        "gpu_hours": 2.5,
        "evaluation_hours": 1.0,
        "starts": 4,
    }


def test_what_a_file_does_not_tell_is_left_open(run):
    older = run("older", seconds=3600)
    unknown = run("unknown", seconds=3600, gpu_seconds=None, starts=None)
    Path(unknown["evaluations"][0]).unlink()
    known = run("known", seconds=3600, gpu_seconds=3600, starts=1)
    table = cost_table([line(older), line(unknown, known), line(known)])
    assert table["training_hours"].tolist() == [1.0, 2.0, 1.0]
    assert table[["gpu_hours", "starts"]].isna().to_numpy().tolist() == [[True] * 2] * 2 + [
        [False] * 2
    ]
    assert table["evaluation_hours"].isna().tolist() == [False, True, False]


def test_the_csv_has_whole_numbers_of_starts_and_blanks_for_what_is_not_known(run):
    known = run("known", seconds=36, gpu_seconds=0, starts=2)
    text = cost_table([line(known), line(run("older", seconds=36))]).to_csv(index=False)
    assert [row.split(",")[-1] for row in text.splitlines()] == ["starts", "2", ""]


def test_the_markdown_counts_a_shared_run_once(run):
    shared = run("shared", seconds=7200, gpu_seconds=7200, starts=1)
    text = to_markdown([line(shared), line(shared, table="table5")], "A note.")
    assert "A note." in text
    assert "1 runs, 2 hours of training, 2 GPU hours, 1 hours of evaluation, 1 starts" in text
    assert sum(row.startswith("| table") for row in text.splitlines()) == 3


def test_short_times_do_not_vanish(run):
    text = to_markdown([line(run("short", (5,), seconds=5, gpu_seconds=0, starts=1))], "")
    assert "0.0014" in text


def test_a_table_without_lines_has_its_columns():
    assert list(cost_table([]).columns)[-1] == "starts"


def test_benchmark_files_are_those_that_snakemake_writes(tmp_path):
    from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

    record = BenchmarkRecord(running_time=12.5)
    write_benchmark_records([record], str(tmp_path / "benchmark.tsv"), False)
    assert benchmark_seconds(str(tmp_path / "benchmark.tsv")) == 12.5
    assert pandas.isna(benchmark_seconds(str(tmp_path / "none.tsv")))
