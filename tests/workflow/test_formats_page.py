"""docs/formats.md names the columns and keys of the files that a real run leaves."""

import csv
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import pytest
import torch

from tests.small_run import train_on_phantoms
from tests.workflow.conftest import PROJECT

pytestmark = pytest.mark.slow

RUN = "la/labelled-4/sgrs/seed-0"


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
def kept(tmp_path_factory) -> Path:
    """The last checkpoint of a small run."""
    folder = tmp_path_factory.mktemp("kept")
    train_on_phantoms(folder)
    (newest,) = sorted((folder / "unfinished").glob("checkpoint-*.pt"))[-1:]
    return newest


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
    "`tables/<table>.csv`": lambda results: head(results / "tables/table2.csv"),
    "`tables/selection_gain.csv`": lambda results: head(results / "tables/selection_gain.csv"),
    "`tables/cost.csv`": lambda results: head(results / "tables/cost.csv"),
}
CHECKPOINT = "`unfinished/checkpoint-<iteration>-<digest>.pt`"
WITHOUT_NAMES = {"What is read", "What is written", "Tables"}  # of files, not of what is in them


@pytest.mark.parametrize("heading", FOUND)
def test_the_page_names_what_the_file_holds(heading, small):
    assert sorted(documented()[heading]) == sorted(FOUND[heading](small / "results/quick"))


def test_the_page_names_what_a_checkpoint_holds(kept):
    assert sorted(documented()[CHECKPOINT]) == sorted(torch.load(kept, weights_only=True))


def test_every_section_of_the_page_is_compared():
    assert documented().keys() == FOUND.keys() | {CHECKPOINT} | WITHOUT_NAMES


def test_all_other_methods_logs_begin_as_the_page_says(small):
    columns = head(small / "results/quick/la/labelled-4/vnet/seed-0/log.csv")
    assert columns[:2] == documented()["`log.csv`"][:2]


def test_the_results_folder_holds_what_the_page_says_and_nothing_else(small):
    page = {name.split("/")[0] for name in documented()["What is written"]}
    expected = {name for name in page if not name.startswith(("<", "."))} | {"la", "report.html"}
    assert names_in(small / "results/quick") - {"lock"} == expected
