"""docs/formats.md names the columns and keys of the files that a real run leaves."""

import csv
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import pytest
import torch
import yaml

from tests.small_run import train_on_phantoms
from tests.workflow.conftest import PROJECT, QUICK

pytestmark = pytest.mark.slow

RUN = "la/labelled-4/sgrs/seed-0"
SHEETS = yaml.safe_load(QUICK.read_text())
CHANGES = {
    "datasets": {"pancreas": None, "brats2019": None},
    "tables": {
        **dict.fromkeys(SHEETS["tables"]),
        "table2": {"labelled": [4], "methods": ["vnet", "sgrs"]},
    },
    "figures": {"figure2": {"labelled": [4], "methods": ["vnet", "sgrs"]}, "figure3": None,
                "figure4": None, "figure4_isolated": None},
}  # fmt: skip


def documented() -> dict[str, list[str]]:
    """The names in the first column of each section's table, by the section's heading."""
    page = (PROJECT / "docs/formats.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^##+ (.+)$", page, flags=re.MULTILINE)
    return {
        heading: [
            name
            for first in re.findall(r"^\| ([^|]+) \|", body, re.MULTILINE)
            for name in re.findall("`([^`]+)`", first)
        ]
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.fixture(scope="module")
def folder(finished) -> Path:
    """A whole run with its report; beside it a small run that keeps its last checkpoint."""
    folder = finished("formats", "all", "report", changes=CHANGES)
    train_on_phantoms(folder)
    (newest,) = sorted((folder / "unfinished").glob("checkpoint-*.pt"))[-1:]
    newest.rename(folder / "kept.pt")
    return folder


def head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def names_in(path: Path) -> set[str]:
    return {one.name for one in path.iterdir()}


def record(results: Path) -> dict:
    return json.loads((results / RUN / "record.json").read_text(encoding="utf-8"))


def in_volume(results: Path, of: Callable[[h5py.File], Iterable[str]]) -> set[str]:
    with h5py.File(next((results / "volumes/la").glob("*.h5"))) as file:
        return set(of(file))


# What the files hold, by the heading on the page. results: results/<experiment>.
FOUND: dict[str, Callable[[Path], Iterable[str]]] = {
    "`config/published.csv`": lambda results: head(PROJECT / "config/published.csv"),
    "`volumes/<data set>/<scan>.h5`": lambda results: in_volume(results, lambda file: file),
    "`volumes/<data set>/<scan>.h5`, attributes": lambda results: in_volume(
        results, lambda file: file.attrs
    ),
    "A run's folder": lambda results: names_in(results / RUN) - {"best_on_test"},
    "`record.json`": record,
    "`record.json`, `run`": lambda results: record(results)["run"],
    "`record.json`, `training`": lambda results: record(results)["training"],
    "`log.csv`": lambda results: head(results / RUN / "log.csv"),
    "`<selection>/`": lambda results: names_in(results / RUN / "best_on_test"),
    "`model.pt`": lambda results: torch.load(results / RUN / "model.pt", weights_only=True),
    "`<selection>/scores.csv`": lambda results: head(results / RUN / "last/scores.csv"),
    "`unfinished/checkpoint-<iteration>-<digest>.pt`": lambda results: torch.load(
        results.parents[1] / "kept.pt", weights_only=True
    ),
    "`tables/<table>.csv`": lambda results: head(results / "tables/table2.csv"),
    "`tables/selection_gain.csv`": lambda results: head(results / "tables/selection_gain.csv"),
    "`tables/cost.csv`": lambda results: head(results / "tables/cost.csv"),
}
WITHOUT_NAMES = {"What is read", "What is written", "Tables"}  # of files, not of what is in them


@pytest.mark.parametrize("heading", FOUND)
def test_the_page_names_what_the_file_holds(heading, folder):
    assert sorted(documented()[heading]) == sorted(FOUND[heading](folder / "results/quick"))


def test_every_section_of_the_page_is_compared():
    assert documented().keys() == FOUND.keys() | WITHOUT_NAMES


def test_all_other_methods_logs_begin_as_the_page_says(folder):
    columns = head(folder / "results/quick/la/labelled-4/vnet/seed-0/log.csv")
    assert columns[:2] == documented()["`log.csv`"][:2]


def test_the_results_folder_holds_what_the_page_says_and_nothing_else(folder):
    page = {name.split("/")[0] for name in documented()["What is written"]}
    expected = {name for name in page if not name.startswith(("<", "."))} | {"la", "report.html"}
    assert names_in(folder / "results/quick") - {"lock"} == expected
