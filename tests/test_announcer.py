"""The last lines of a workflow: what failed, and where that lies which a user came for."""

import os

import pytest

from sgrs_core.monitoring.announcer import Announcer


@pytest.fixture
def results(tmp_path):
    for name in ("tables/table2.csv", "figures/figure2.png", "report.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000, 1000))
    return tmp_path


def test_tables_figures_and_report_are_named(results, capsys):
    Announcer([], results, str).conclude()
    assert capsys.readouterr().err.splitlines() == [
        f"Tables: {results / 'tables'}",
        f"Figures: {results / 'figures'}",
        f"Report: {results / 'report.html'}",
    ]


def test_a_report_of_other_tables_is_said_to_be_older(results, capsys):
    os.utime(results / "tables/table2.csv", (2000, 2000))
    Announcer([], results, str).conclude()
    (report,) = (line for line in capsys.readouterr().err.splitlines() if "Report" in line)
    assert report == f"Report (older than the tables): {results / 'report.html'}"


def test_after_a_failure_nothing_is_said_to_be_new(results, capsys):
    announcer = Announcer([], results, str)
    announcer.failed["train.log"] = None
    announcer.conclude()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["1 failed; the logs:", "  train.log"]
    assert all("(some perhaps by an earlier call)" in line for line in lines[2:])
