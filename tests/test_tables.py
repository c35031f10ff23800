import numpy as np
import pandas
import pytest
from pandas import DataFrame

from sgrs_core.tables import METRICS, PARTS, build_table, summarise, to_latex, to_markdown

SCORES = pandas.DataFrame(
    {
        "scan": ["a", "b", "c"],
        "dice": [0.9, 0.6, 0.0],
        "jaccard": [0.8, 0.4, 0.0],
        "hd95": [2.0, 4.0, np.nan],
        "asd": [1.0, 2.0, np.nan],
        "empty": [False, False, True],
    }
)
PUBLISHED = pandas.DataFrame(
    {
        "variant": ["vnet", "dtc", "sgrs"],
        "labelled": [4, 4, 4],
        "dice": [52.55, 81.25, 89.7],
        "jaccard": [39.6, 69.33, 81.4],
        "hd95": [47.05, 14.9, 6.68],
        "asd": [9.87, 3.99, 1.75],
    }
)


@pytest.fixture
def lines(tmp_path):
    """V-Net with two seeds, and a method of ours alone with one."""
    files = []
    for number, shift in enumerate((0.0, 0.02, 0.0)):
        changed = SCORES.assign(dice=SCORES["dice"] + shift * (SCORES["dice"] > 0))
        changed.to_csv(tmp_path / f"{number}.csv", index=False)
        files.append(str(tmp_path / f"{number}.csv"))
    return [
        {"variant": "vnet", "labelled": 4, "scores": {"last": files[:2]}},
        {"variant": "toy", "labelled": 4, "scores": {"last": files[2:]}},
    ]


@pytest.fixture
def table(lines):
    return build_table("la", lines, PUBLISHED)


def row(table, method, scoring):
    (found,) = table[(table["method"] == method) & (table["scoring"] == scoring)].to_dict("records")
    return found


def test_published_scoring_counts_an_empty_prediction_as_perfect_distances():
    means = summarise(SCORES, "published")
    assert means == pytest.approx({"dice": 50, "jaccard": 40, "hd95": 2, "asd": 1})


def test_strict_scoring_leaves_an_empty_prediction_out_of_the_distances():
    means = summarise(SCORES, "strict")
    assert means == pytest.approx({"dice": 50, "jaccard": 40, "hd95": 3, "asd": 1.5})


def test_a_row_shows_published_ours_difference_seeds_and_spread(table):
    vnet = row(table, "vnet", "strict")
    assert (vnet["dataset"], vnet["labelled"], vnet["selection"]) == ("la", 4, "last")
    assert vnet["seeds"] == 2
    assert vnet["dice_published"] == 52.55
    assert vnet["dice_ours"] == pytest.approx((50 + 100 * (0.92 + 0.62) / 3) / 2)
    assert vnet["dice_difference"] == pytest.approx(vnet["dice_ours"] - 52.55)
    assert vnet["dice_spread"] == pytest.approx(np.std([50, 100 * (0.92 + 0.62) / 3], ddof=1))
    assert vnet["empty"] == 2


def test_rows_that_only_the_paper_has_and_rows_that_only_we_have_stand_too(table):
    dtc, toy = row(table, "dtc", "strict"), row(table, "toy", "strict")
    assert dtc["seeds"] == 0
    assert np.isnan(dtc["dice_ours"])
    assert dtc["dice_published"] == 81.25
    assert np.isnan(toy["dice_published"])
    assert toy["dice_ours"] == pytest.approx(50)


def test_rows_stand_in_the_published_order_and_ours_come_last(table):
    order = table[table["scoring"] == "strict"]["method"].tolist()
    assert order == ["vnet", "dtc", "sgrs", "toy"]


def test_the_columns_start_with_the_promised_ones(table):
    keys = ["dataset", "labelled", "method", "selection", "scoring", "seeds"]
    assert table.columns[:6].tolist() == keys
    for metric in METRICS:
        assert {f"{metric}_{part}" for part in PARTS} <= set(table)


def test_markdown_and_latex_hold_every_method_and_both_scorings(table):
    for text in (to_markdown(table, "Title", "A note."), to_latex(table, "Title", "A 5% note.")):
        assert all(method in text for method in ("vnet", "dtc", "sgrs", "toy"))
        assert "scoring published" in text
        assert "scoring strict" in text
    assert r"5\% note" in to_latex(table, "Title", "A 5% note.")


@pytest.fixture
def tested(tmp_path):
    """SGRS-Net, a method that is 1 to 20 points worse on 20 scans, and one that is equal."""
    generator = np.random.default_rng(0)
    sgrs = DataFrame({name: generator.uniform(0.5, 0.9, 20) for name in METRICS})
    sgrs = sgrs.assign(scan=[f"scan {i}" for i in range(20)], empty=False)
    worse = sgrs.assign(dice=sgrs["dice"] - np.linspace(0.01, 0.2, 20))
    lines = []
    for variant, scores in (("sgrs", sgrs), ("vnet", worse), ("dtc", sgrs)):
        scores.sample(frac=1, random_state=1).to_csv(tmp_path / f"{variant}.csv", index=False)
        files = {"last": [str(tmp_path / f"{variant}.csv")]}
        reference = variant == "sgrs"
        lines.append({"variant": variant, "labelled": 4, "scores": files, "reference": reference})
    published = DataFrame({"variant": ["vnet", "sgrs"], "labelled": [4, 4]})
    published = published.assign(
        dice=[0.0, 100 * sgrs["dice"].mean()], jaccard=1.0, hd95=1.0, asd=1.0
    )
    return build_table("la", lines, published)


def test_methods_are_tested_against_sgrs_net_on_the_same_scans_and_corrected(tested):
    sgrs, vnet, dtc = (row(tested, method, "strict") for method in ("sgrs", "vnet", "dtc"))
    assert np.isnan(sgrs["dice_p"])
    assert vnet["dice_p"] == pytest.approx(2 * 2 / 2**20)  # all signs equal, times two methods
    assert dtc["dice_p"] == 1
    assert vnet["hd95_p"] == 1


def test_a_value_is_reproduced_where_the_published_one_lies_in_our_interval(tested):
    sgrs, vnet = row(tested, "sgrs", "strict"), row(tested, "vnet", "strict")
    assert sgrs["dice_low"] < sgrs["dice_ours"] < sgrs["dice_high"]
    assert sgrs["dice_reproduced"]
    assert not vnet["dice_reproduced"]
    (line,) = [
        line for line in to_markdown(tested, "", "").splitlines()
        if "sgrs" in line and "strict" in line and "|" in line
    ]  # fmt: skip
    assert line.count("✓") == 1
    (line,) = [
        line for line in to_markdown(tested, "", "").splitlines()
        if "vnet" in line and "strict" in line
    ]  # fmt: skip
    assert line.count("†") == 1
    assert r"$\dagger$" in to_latex(tested, "", "")


def test_each_line_of_markdown_names_its_selection_and_scoring(table):
    lines = to_markdown(table, "Title", "").splitlines()
    of_methods = [line for line in lines if "vnet" in line or "dtc" in line]
    assert len(of_methods) == 4
    assert all("last" in line for line in of_methods)
    assert sum("strict" in line for line in of_methods) == 2


def test_a_table_of_ours_alone_needs_no_published_numbers(lines):
    table = build_table("la", lines, PUBLISHED.iloc[:0])
    assert table["method"].unique().tolist() == ["vnet", "toy"]
