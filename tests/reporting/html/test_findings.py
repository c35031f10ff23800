"""The sentences with which a report begins say what the scores say, and no more."""

import re
from pathlib import Path

import pandas
import pytest

from sgrs_core.reporting.html.findings import (
    Finding,
    findings_of,
    missing_of,
    selection_worth,
    setting_of,
)
from sgrs_core.reporting.tables import Rules, build_table
from tests.synthetic_scores import scores, write

NOTHING = pandas.DataFrame({"variant": [], "labelled": []})
CONTENTS = {
    "seeds": [0, 1],
    "tables": [{"title": "Comparison"}],
    "datasets": [{"title": "Left atrium (LA)", "source": "mirror", "absent scans": 0}],
}


def line(name: str, labelled: int, tables: list, folder: Path, **more) -> dict:
    files = write(folder, f"{name}-{labelled}", tables)
    row = {"variant": name, "title": name.upper(), "labelled": labelled}
    return row | {"scores": {"last": files}} | more


def said(lines: list[dict]) -> list[Finding]:
    rules = Rules()
    frame = build_table("la", lines, NOTHING, rules)
    table = {"title": "Comparison", "lines": lines, "margin": rules.margin}
    return list(findings_of({**table, "confidence": rules.confidence}, frame))


def steady(dice: float, seeds: int) -> list:
    """Seeds that hardly differ."""
    return [scores(dice, seed=seed) for seed in range(seeds)]


def test_the_first_is_named_with_its_lead_and_interval(tmp_path):
    lines = [
        line("a", 4, steady(60, 3), tmp_path),
        line("b", 4, steady(80, 3), tmp_path, reference=True),
    ]
    (found,) = said(lines)
    assert found.about == "Comparison, 4 labelled scans"
    start, _, rest = found.text.partition(" more than A, the second")
    match = re.fullmatch(
        r"B is first of 2 with a Dice of (\d\d\.\d) ± \d\.\d \(3 seeds, 20 test scans\), "
        r"(\d+\.\d) \[(\d+\.\d), (\d+\.\d)\]",
        start,
    )
    _, value, low, high = map(float, match.groups())
    assert low < value < high
    assert value == pytest.approx(20, abs=0.5)
    assert rest.startswith(", shown to be more than chance.")
    assert "B is shown to be better than A by 2" in rest


def test_what_one_seed_cannot_show_is_not_claimed(tmp_path):
    (found,) = said([line("a", 4, steady(60, 1), tmp_path), line("b", 4, steady(80, 1), tmp_path)])
    assert "shown" not in found.text
    assert "[" not in found.text
    contents = {**CONTENTS, "seeds": [0], "tables": []}
    assert "With one seed" in missing_of(contents, []).text


def test_each_number_of_labelled_scans_is_a_finding_and_one_row_leads_nobody(tmp_path):
    lines = [line("a", count, steady(70, 2), tmp_path) for count in (4, 1)]
    one, four = said(lines)
    assert (one.about, four.about) == (
        "Comparison, 1 labelled scan",
        "Comparison, 4 labelled scans",
    )
    assert four.text.startswith("A, alone: 69.6")


def test_rows_with_the_same_dice_share_the_first_place(tmp_path):
    tables = steady(70, 2)
    (found,) = said([line(name, 4, tables, tmp_path) for name in ("a", "b")])
    assert found.text.startswith("A, B share the highest Dice of 2 rows: 69.6")


def test_empty_predictions_are_counted(tmp_path):
    tables = [scores(70, empty=range(3)), scores(70)]
    (found,) = said([line("a", 4, tables, tmp_path), line("b", 4, steady(60, 2), tmp_path)])
    assert "3 of 80 predictions are empty, most of them by A." in found.text
    (found,) = said([line("c", 4, [scores(70, empty=range(20))], tmp_path)])
    assert found.text.endswith("All 20 predictions are empty.")


def test_what_choosing_on_test_scans_is_worth_is_said_where_it_was_measured():
    gain = pandas.DataFrame(
        {"dataset": "LA", "labelled": 4, "method": ["A", "B"], "dice_gain": [1.0, 4.0]}
    )
    text = selection_worth(gain).text
    assert text == (
        "It adds 2.5 points of Dice in the mean of 2 rows, from 1.0 (A, 4 labelled scans) to "
        "4.0 (B, 4 labelled scans)."
    )
    assert "not measured" in selection_worth(None).text


def test_what_is_missing_is_said():
    frame = pandas.DataFrame(
        {"title": ["A", "B", "B"], "labelled": [4, 4, 8], "seeds": [2, 0, 0], "selection": "last"}
    )
    text = missing_of(CONTENTS, [frame]).text
    assert text == "Comparison: not run are B with 4 labelled scans; B with 8 labelled scans."
    nothing = missing_of(CONTENTS, [frame[frame["seeds"] > 0]])
    assert nothing.text == "Nothing that the tables ask for."


def test_phantoms_are_said_to_be_made_up():
    datasets = [{**CONTENTS["datasets"][0], "source": "phantom", "absent scans": 2}]
    text = missing_of({**CONTENTS, "datasets": datasets, "tables": []}, []).text
    assert "2 of its scans are not there" in text
    assert "say nothing about real scans" in text


def test_two_seeds_intervals_end_at_what_is_possible_and_are_said_to_be_wide(tmp_path):
    apart = [scores(94, seed=0), scores(6, seed=1)]
    lines = [line("a", 4, steady(30, 2), tmp_path), line("b", 4, apart, tmp_path)]
    (found,) = said(lines)
    assert "[-100.0, 100.0] more than A, the second, not shown to be more than" in found.text
    frame = pandas.DataFrame({"selection": ["last"], "seeds": [2]})
    assert "cut off at 100 points. Two seeds hardly say" in setting_of(CONTENTS, [frame])
    three = {**CONTENTS, "seeds": [0, 1, 2]}
    assert "Two seeds" not in setting_of(three, [frame])


def test_how_numbers_are_to_be_read_is_said_once():
    frame = pandas.DataFrame({"selection": ["last"], "seeds": [2]})
    text = setting_of(CONTENTS, [frame, frame])
    assert "2 seeds" in text
    assert text.count("last checkpoint") == 1
    assert text.count("An empty prediction counts as 0") == 1
