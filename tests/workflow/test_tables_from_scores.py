"""The numbers in the tables follow from the score files, computed here in another way."""

import json
from pathlib import Path

import h5py
import pytest
import SimpleITK

from tests.recompute import METRICS, check_table, read
from tests.workflow.conftest import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(small) -> Path:
    return small / "results/quick"


def test_every_number_of_ours_is_the_mean_of_the_scores(results):
    assert check_table(results / "tables/table2.csv") == 2 * 2 * 2  # methods, selections, scorings


def test_no_published_number_stands_beside_phantoms(results):
    rows = read(results / "tables/table2.csv")
    parts = [f"{metric}_{part}" for metric in METRICS for part in ("published", "verdict")]
    assert {row[part] for row in rows for part in parts} == {""}
    for suffix in ("md", "tex"):
        text = (results / f"tables/table2.{suffix}").read_text(encoding="utf-8")
        assert "paper" not in text


def test_markdown_and_latex_show_the_numbers_of_the_csv(results):
    row = next(r for r in read(results / "tables/table2.csv") if r["method"] == "sgrs")
    cell = f"{float(row['dice_ours']):.2f}"
    for suffix in ("md", "tex"):
        assert cell in (results / f"tables/table2.{suffix}").read_text(encoding="utf-8")


def test_predictions_lie_where_the_prepared_scan_lies(results):
    (file, *_) = sorted(results.glob("la/labelled-4/sgrs/seed-0/last/predictions/*.nii.gz"))
    picture = SimpleITK.ReadImage(str(file))
    with h5py.File(results / f"volumes/la/{file.name.removesuffix('.nii.gz')}.h5") as volume:
        assert picture.GetSize() == volume["image"].shape
        assert picture.GetSpacing() == pytest.approx(tuple(volume.attrs["spacing"]))
        assert picture.GetOrigin() == pytest.approx(tuple(volume.attrs["origin"]))
        assert picture.GetDirection() == pytest.approx(tuple(volume.attrs["direction"]))


def test_the_figure_is_there_and_nothing_unfinished_is(results):
    for suffix in ("pdf", "png"):
        assert (results / f"figures/figure2.{suffix}").stat().st_size > 10_000
    assert not list(results.glob("**/unfinished"))


def test_each_run_leaves_a_record_that_admits_reading_test_scans(results):
    for run in results.glob("la/*/*/seed-1"):
        record = json.loads((run / "record.json").read_text())
        assert record["training"]["read_test_scans_in_training"]
        assert record["run"]["seed"] == 1
        assert record["packages"]["torch"]


def test_nothing_is_left_to_do_after_a_whole_run(small, snakemake):
    again = snakemake("all", "report", folder=small, changes=SMALL, options=["--dry-run"])
    assert "Nothing to be done" in again.stdout + again.stderr
