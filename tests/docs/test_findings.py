"""Every number of the findings is made from the committed scores, and its words hold."""

import re
import statistics
from itertools import pairwise

import numpy as np
import pytest

from docs.tools.ablations import (
    ABLATIONS_FIGURE,
    WHOLE,
    ablated,
    ablations,
    between_forms,
    between_seeds,
    ends_of_pseudo_labels,
    of_parts,
    of_thresholds,
    published_lead,
    rows_of,
    whole_methods_lead,
)
from docs.tools.findings import (
    COLUMNS,
    FIGURE,
    FINDINGS,
    FLOAT32,
    FORMS,
    IN_FINDINGS,
    IN_README,
    PARTS,
    README,
    TRAINING_SCANS,
    comparisons,
    lead,
    made_twice,
    on_training_scans,
    pages,
    rates_of,
    row,
    rows,
    swaps,
    table,
    title,
)
from docs.tools.forms import (
    ABLATIONS,
    EQUATIONS,
    LOST,
    NOT_RUN,
    OTHER_HARDWARE,
    PSEUDO_LABELS,
    ROOT,
    TEN_METHODS,
    dice_of,
    equations,
    lowest,
    of_pseudo_labels,
    on_cpu,
    one_at_a_time,
    runs_of,
)
from sgrs_core.reporting.statistics import NOT_SHOWN, non_inferiority
from tests.recompute import mean, read

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_what_the_scores_make_of_it(page):
    assert page.read_text(encoding="utf-8") == PAGES[page], (
        "run: .venv/bin/python -m docs.tools.findings"
    )
    if page.parent.name == "tables":  # recomputed in another way by tests/test_reference.py
        return
    shown = {
        FINDINGS: table(IN_FINDINGS), README: table(IN_README), FORMS: equations(),
        TEN_METHODS / "README.md": table(COLUMNS), ABLATIONS / "README.md": ablations(),
        TRAINING_SCANS / "README.md": on_training_scans(),
    }  # fmt: skip
    assert shown[page] in PAGES[page]


def test_every_committed_run_stands_in_the_table():
    seeds = {path.parent for path in TEN_METHODS.glob("la/*/*/*/record.json")}
    assert sum(len(one.dice) for one in rows()) == len(seeds) > 20
    assert FIGURE.is_file()


def test_the_table_says_what_the_score_files_say_reckoned_in_another_way():
    for one, line in zip(rows(), table().splitlines()[2:], strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        runs = sorted((TEN_METHODS / f"la/labelled-{one.labelled}/{one.method}").glob("seed-*"))
        seeds = [mean(read(run / "last/scores.csv"), "dice", "strict") for run in runs]
        assert cells[:3] == [title(one.method), str(one.labelled), str(len(seeds))]
        found = [float(number) for number in re.findall(r"[\d.]+", cells[3])]
        spread = [statistics.stdev(seeds)] if len(seeds) > 1 else []
        assert found == pytest.approx([statistics.fmean(seeds), *spread], abs=0.051)
        assert [float(cell) for cell in cells[4].split(", ")] == pytest.approx(seeds, abs=0.051)
        if cells[5]:
            of_sgrs = sorted((TEN_METHODS / "la/labelled-4/sgrs").glob("seed-*"))
            ours = [mean(read(run / "last/scores.csv"), "dice", "strict") for run in of_sgrs]
            expected = statistics.fmean(ours) - statistics.fmean(seeds)
            assert float(cells[5].split()[0]) == pytest.approx(expected, abs=0.051)


def test_the_table_of_scans_of_the_training_says_what_its_score_files_say():
    lines = [line.split("|")[2:4] for line in on_training_scans().splitlines()[2:]]
    expected = [
        [mean(read(run / part / "scores.csv"), "dice", "strict") for part in PARTS]
        for run in TRAINING_SCANS.glob("labelled-4/*/seed-*")
    ]
    for line, ours in zip(lines, sorted(expected, key=lambda one: -one[1]), strict=True):
        assert [float(cell) for cell in line] == pytest.approx(ours, abs=0.051)


def test_the_table_of_equations_says_what_its_score_files_say():
    printed = re.findall(r"[\d.]+(?= \|)", equations())
    committed = sorted(EQUATIONS.glob("la/*/*/seed-*/last/scores.csv"))
    for file in committed:
        assert f"{mean(read(file), 'dice', 'strict'):.1f}" in printed
    of_seed_0 = [file for file in committed if file.parts[-3] == "seed-0"]
    assert equations().count(NOT_RUN) == 15 - len(of_seed_0)
    assert PSEUDO_LABELS.is_file()


def test_the_ablations_say_what_their_score_files_say():
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ablations().splitlines()]
    ours = {dice for cell in cells[2:] for dice in cell[3].split(", ")} - {NOT_RUN}
    committed = list(ABLATIONS.glob("la/labelled-4/*/seed-*/last/scores.csv"))
    whole = [
        OTHER_HARDWARE / "la/labelled-4/sgrs/seed-0/last/scores.csv",
        TEN_METHODS / "la/labelled-4/sgrs/seed-1/last/scores.csv",
    ]
    assert committed
    expected = {f"{mean(read(file), 'dice', 'strict'):.1f}" for file in (*committed, *whole)}
    assert ours == expected
    assert ["Table 5", "Baseline", "75.18"] in [cell[:3] for cell in cells]
    assert ABLATIONS_FIGURE.is_file()


def test_the_whole_methods_lead_is_the_difference_of_the_means():
    of_whole = [ablated(WHOLE, seed=seed) for seed in (0, 1)]
    for line in ablations().splitlines()[2:]:
        ours, lead = [cell.strip() for cell in line.split("|")[1:-1]][3:5]
        if lead:
            seeds = [float(dice) for dice in ours.split(", ")]
            expected = statistics.fmean(of_whole) - statistics.fmean(seeds)
            assert float(lead.split()[0]) == pytest.approx(expected, abs=0.11)
            assert (len(seeds) > 1) == ("[" in lead)


def test_what_readme_says_of_its_table_holds():
    text = " ".join(README.read_text(encoding="utf-8").split())
    first, second, third = (title(one.method) for one in comparisons() if one.is_shown)
    assert len(comparisons()) == 11
    assert (
        "for eleven comparisons, three leads are shown, none of them firmly: those over "
        f"{first}, {second} and {third}:"
    ) in text
    runs = [path.parent for path in TEN_METHODS.glob("la/*/*/*/record.json")]
    on_gpu = len(runs) - sum(map(on_cpu, runs))
    assert f"{on_gpu} of its {len(runs)} runs a GPU made" in text


def test_pages_of_runs_that_were_made_twice_say_how_they_compare():
    for place, other in ((OTHER_HARDWARE, TEN_METHODS), (FLOAT32, OTHER_HARDWARE)):
        text = " ".join((place / "README.md").read_text(encoding="utf-8").split())
        assert made_twice(place, other) in text
    float32, bfloat16 = (
        mean(read(place / "la/labelled-4/vnet/seed-0/last/scores.csv"), "dice", "strict")
        for place in (FLOAT32, OTHER_HARDWARE)
    )
    assert abs(float32 - bfloat16) < np.ptp(row("vnet").dice)


def test_neighbours_swap_as_often_as_pairs_of_seeds_do():
    pairs = list(pairwise(one.dice for one in rows() if one.labelled == 4))
    for share, (upper, lower) in zip(swaps(), pairs, strict=True):
        swapped = [b > a for a in upper for b in lower]
        assert share == pytest.approx(sum(swapped) / len(swapped))


def test_the_words_hold():
    """What the template says without a number; when one of these fails, its sentence is to go."""
    assert rows()[0].method == "sgrs"
    assert {one.is_shown for one in comparisons()} == {True, False}
    shown = {one.method for one in comparisons() if one.is_shown}
    assert shown == {"dtc", "mcf", "ssnet"}
    assert {one.method for one in comparisons(prefer_cpu=True) if one.is_shown} == {"mcf", "ssnet"}
    assert all(
        0.03 < one.p < 0.052 for cpu in (0, 1) for one in comparisons(cpu) if one.method in shown
    )
    assert all(one.difference.value > 0 for one in comparisons())
    assert any(one.difference.low > 0 and not one.is_shown for one in comparisons())
    beside_all_labels = lead(("sgrs", 4), ("vnet", 80))
    assert beside_all_labels.value > 0
    assert beside_all_labels.low < 0
    assert non_inferiority(beside_all_labels, margin=1) == NOT_SHOWN
    printed = runs_of("la_half", "sgrs_paper")
    assert len(printed) == 3
    assert all(lowest(run) < LOST for run in printed.values())
    assert [dice < 1 for dice in row("sgrs_paper").dice] == [True, True, False]
    assert of_pseudo_labels(printed[2]).loc[500:1300].min() < LOST
    assert of_pseudo_labels(printed[1]).loc[500:2000].min() > LOST
    assert f"it ends at {row('sgrs_paper').dice[2]:.1f}%" in FORMS.read_text(encoding="utf-8")
    one = {
        line: runs[0]
        for line, runs in one_at_a_time().items()
        if line.startswith("+") and 0 in runs
    }
    kept = {line for line, run in one.items() if lowest(run) > LOST}
    assert kept == {"+ labelled Dice", "+ noise-robust Dice", "+ loss weights"}
    assert min(map(dice_of, kept)) > 60
    assert max(one.keys() - kept, key=dice_of) == "+ consistent cross-entropy"
    for line in one.keys() - kept:
        curve = of_pseudo_labels(one[line])
        assert curve.loc[500:1300].min() < LOST
        assert curve.loc[1300:1700].max() < 15
    lost = ("+ consistent Dice", "+ consistent cross-entropy", "+ noise-robust cross-entropy")
    for line in lost:
        assert of_pseudo_labels(one_at_a_time()[line][1]).loc[500:1800].min() < LOST
        assert dice_of(line, seed=1) < 0.05
    assert dice_of("+ loss weights", seed=1) > 60
    assert all(lowest(one_at_a_time()[line][1]) > LOST for line in kept)
    of_vnet = row("vnet").dice
    for line in kept - {"+ labelled Dice"}:
        assert all(dice_of(line, seed) > of_vnet[seed] + 10 for seed in (0, 1))
    hardly = one_at_a_time()["+ labelled Dice"][1]
    said = FORMS.read_text(encoding="utf-8")
    assert f"they fall to {lowest(hardly):.1f}%" in said
    assert f"the network ends at {dice_of('+ labelled Dice', seed=1):.1f}%" in said
    assert dice_of("+ labelled Dice", seed=1) < of_vnet[1]
    codes = [line for line in one_at_a_time() if line.startswith("Code of")]
    assert len(codes) == 4
    assert all(lowest(one_at_a_time()[line][0]) > LOST for line in codes)
    assert np.ptp([dice_of(line) for line in codes]) < 2.4 + 0.05
    assert max(dice_of("Printed equations", seed) for seed in (0, 1)) < 1
    seeds = {one.method: len(one.dice) for one in rows() if one.labelled == 4}
    assert set(seeds.values()) == {3}
    means = [statistics.fmean(dice) for dice in of_parts()]
    assert all(len(dice) == 2 for dice in of_parts())
    assert min(means) == means[0]
    assert between_forms() < between_seeds()
    leads = [whole_methods_lead(tuple(line.runs.values())) for line in rows_of("table5")[:-1]]
    assert all(one.low < 0 < one.high for one in leads)
    assert published_lead("baseline") > leads[0].high
    assert published_lead("baseline+ma") > leads[1].high
    assert all(
        min(dice) < ablated("tau=0.296", sheet) < max(dice)
        for sheet in ("figure4", "figure4_isolated")
        for dice in (of_thresholds(sheet),)
    )
    assert max(ends_of_pseudo_labels("nr")) < min(ends_of_pseudo_labels("con")) - 5
    assert len(ends_of_pseudo_labels("nr")) == 3
    assert len(ends_of_pseudo_labels("con")) == 5
    for iterations in (2400, 15_000):  # of Co-BioNet, whose rate ends where it began
        rates = rates_of("cobionet", iterations)
        assert rates[-1] == pytest.approx(max(rates), rel=1e-4)
        assert min(rates) < 1e-5
    gains = {method: row(method).gain for method in ("sgrs", "caml", "vnet", "mcnet_plus")}
    spreads = {method: row(method).apart for method in gains}
    assert max(gains, key=gains.__getitem__) == max(spreads, key=spreads.__getitem__)
    assert all(gain > 0 for gain in gains.values())


def test_readme_says_of_the_demo_what_its_benchmark_measured():
    rows = {(row["method"], row["labelled"]): row for row in read(ROOT / "benchmarks/demo.csv")}
    text = " ".join(README.read_text(encoding="utf-8").split())
    of_sgrs, of_vnet, of_all, of_bcp = (
        f"{rows[key]['mean']} ± {rows[key]['spread']}"
        for key in (("sgrs", "4"), ("vnet", "4"), ("vnet", "20"), ("bcp", "4"))
    )
    assert (
        f"SGRS-Net has a Dice of {of_sgrs}, V-Net {of_vnet} with 4 labels and {of_all} with all, "
        f"BCP {of_bcp}."
    ) in text
    above = [
        float(ours) > float(others)
        for ours, others in zip(
            rows["sgrs", "4"]["dice"].split(), rows["vnet", "4"]["dice"].split(), strict=True
        )
    ]
    assert sum(above) >= 4
    assert float(rows["sgrs", "4"]["mean"]) - float(rows["vnet", "4"]["mean"]) > 5
