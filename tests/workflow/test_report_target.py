"""`snakemake report` and Snakemake's own `--report`, after real trainings of four iterations."""

import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from tests.workflow.conftest import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory) -> Path:
    return shutil.copytree(small, tmp_path_factory.mktemp("report") / "copy ä")


def test_the_report_shows_what_was_run(folder):
    html = (folder / "results/quick/report.html").read_text(encoding="utf-8")
    text = unescape(re.sub("<[^>]+>", " ", html))
    assert SMALL["note"] in text
    assert "V-Net, LA, 4 labelled, seed 0" in text
    assert "What choosing a checkpoint on the test scans adds" in text
    assert "Slice by slice: 4 labelled" in text
    assert html.count('<img class="scans" src="data:image/png') == 2
    assert "What each method finds, adds and misses, on LA." in text
    assert html.count('<img class="plot" src="data:image/svg') == 4  # of both methods' both runs


def test_snakemakes_own_report_has_the_captions(folder, snakemake):
    made = folder / "own.html"
    run = snakemake("report", folder=folder, changes=SMALL, options=["--report", str(made)])
    assert run.returncode == 0, run.stderr[-3000:]
    html = made.read_text(encoding="utf-8")
    for caption in (
        "Comparison on LA: ours, and published numbers where they are comparable",
        "as slices and as surfaces, on the scan with the median Dice of the methods shown",
        "finds, adds and misses of the ground truth, on the scan phantom_test_001. Dice and",
        "What choosing a checkpoint on the test scans adds to each score",
        "Experiment quick in one file",
    ):
        assert caption in html
    assert html.count(SMALL["note"]) >= 2


def test_a_changed_score_makes_it_anew(folder, snakemake):
    (score,) = folder.glob("results/quick/la/labelled-4/vnet/seed-0/last/scores.csv")
    score.write_text(score.read_text() + "\n")  # other bytes, the same scores
    again = snakemake("report", folder=folder, changes=SMALL, options=["--dry-run"])
    assert re.search(r"^report +1$", again.stdout + again.stderr, re.MULTILINE)
    assert not re.search(r"^train +\d", again.stdout + again.stderr, re.MULTILINE)
