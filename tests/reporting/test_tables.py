import numpy as np
import pandas
import pytest

from sgrs_core.evaluation.units import METRICS
from sgrs_core.reporting import statistics
from sgrs_core.reporting.scores import gather, read_scores
from sgrs_core.reporting.statistics import compare, holm, mean_interval
from sgrs_core.reporting.tables import PARTS, Rules, build_table, read_table
from tests.synthetic_scores import DIAGONAL, moved, published, scores, write

NOTHING = published()


def line(variant: str, files: list[str], **more) -> dict:
    return {"variant": variant, "labelled": 4, "scores": {"best_on_test": files}, **more}


def beside_published(variant: str, files: list[str], **more) -> dict:
    return line(variant, files, published_selection="best_on_test", **more)


def row(table, method: str, scoring: str = "strict", **more) -> dict:
    wanted = {"method": method, "scoring": scoring, **more}
    (found,) = [
        one
        for one in table.to_dict("records")
        if all(one[key] == value for key, value in wanted.items())
    ]
    return found


def summarise(one: pandas.DataFrame, scoring: str) -> dict[str, float]:
    """The mean of each metric over one seed's scans."""
    means = gather([one], scoring).values.mean(axis=(1, 2))
    return dict(zip(METRICS, map(float, means), strict=True))


@pytest.fixture
def near(tmp_path):
    """Three seeds of one method, 0.1 points of Dice apart."""
    base = scores(80)
    return write(tmp_path, "near", [moved(base, points) for points in (-0.1, 0, 0.1)])


def mean_dice(files) -> float:
    return float(np.mean([summarise(pandas.read_csv(file), "strict")["dice"] for file in files]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: one.assign(dice=80.0), r"dice = 80\.0 is no score"),
        (lambda one: one.assign(hd95=np.nan), "hd95 = nan is no score"),
        (lambda one: pandas.concat([one, one[:1]]), "stands twice in a score file"),
        (lambda one: one[:0], "names no scan"),
    ],
)
def test_scores_that_cannot_be_are_refused_with_their_file(spoil, message, tmp_path):
    (file,) = write(tmp_path, "vnet", [spoil(scores())])
    with pytest.raises(ValueError, match=rf"{file}: .*{message}"):
        build_table("la", [line("vnet", [file])], NOTHING)


def test_one_seed_is_not_counted_as_two(near):
    with pytest.raises(ValueError, match="stands twice behind vnet"):
        build_table("la", [line("vnet", [near[0], near[0]])], NOTHING)


def test_two_scans_are_too_few_to_compare_methods_on():
    noise = np.random.default_rng(0).normal(size=(2, 3, 2))
    found = compare(noise[0], noise[1])
    assert np.isnan([found.p, found.low, found.high]).all()
    assert np.isfinite(found.value)


def test_each_recipes_reference_comes_close_to_its_own_upper_bound(tmp_path):
    values = {("vnet", "shared"): 85, ("vnet", "official"): 90,
              ("sgrs", "shared"): 86, ("sgrs", "official"): 92}  # fmt: skip
    lines = [
        line(
            method,
            write(tmp_path, f"{method}-{recipe}", [scores(dice)]),
            recipe=recipe,
            reference=method == "sgrs",
            upper_bound=method == "vnet",
        )
        for (method, recipe), dice in values.items()
    ]
    table = build_table("la", lines, NOTHING)
    for recipe, difference in (("shared", 1), ("official", 2)):
        found = row(table, "sgrs", recipe=recipe)
        assert found["upper_bound_difference"] == pytest.approx(difference, abs=0.5)


def test_an_empty_prediction_is_a_perfect_distance_in_published_scoring():
    means = summarise(scores(empty=[0, 1]), "published")
    rest = scores().iloc[2:]
    assert means["hd95"] == pytest.approx(rest["hd95"].sum() / 20)
    assert means["dice"] == pytest.approx(100 * rest["dice"].sum() / 20)


def test_an_empty_prediction_is_as_far_off_as_the_image_is_long_in_strict_scoring():
    means = summarise(scores(empty=[0, 1]), "strict")
    rest = scores().iloc[2:]
    assert means["hd95"] == pytest.approx((rest["hd95"].sum() + 2 * DIAGONAL) / 20)
    assert means["asd"] == pytest.approx((rest["asd"].sum() + 2 * DIAGONAL) / 20)
    assert means["dice"] == pytest.approx(100 * rest["dice"].sum() / 20)


def test_score_files_that_name_no_diagonal_have_no_distance_where_a_prediction_is_empty():
    means = summarise(scores(empty=[0]).drop(columns="diagonal"), "strict")
    assert np.isnan([means["hd95"], means["asd"]]).all()
    assert means["dice"] > 0
    assert summarise(scores().drop(columns="diagonal"), "strict") == summarise(scores(), "strict")


def test_a_mean_its_interval_and_its_spread_follow_from_the_same_numbers(tmp_path):
    tables = [scores(80, seed=0), scores(80, seed=1, empty=range(18)), scores(78, seed=2)]
    table = build_table("la", [line("vnet", write(tmp_path, "vnet", tables))], NOTHING)
    found = row(table, "vnet")
    matrix = np.array([one["hd95"].fillna(DIAGONAL) for one in tables])
    assert found["hd95_ours"] == pytest.approx(matrix.mean())
    assert found["hd95_spread"] == pytest.approx(matrix.mean(axis=1).std(ddof=1))
    ends = mean_interval(matrix.mean(axis=0))
    assert (found["hd95_low"], found["hd95_high"]) == pytest.approx(ends)
    assert found["hd95_low"] < found["hd95_ours"] < found["hd95_high"]
    assert (found["empty"], found["seeds"], found["scans"]) == (18, 3, 20)


def test_the_columns_start_with_the_promised_ones(near):
    table = build_table("la", [line("vnet", near)], NOTHING)
    keys = ["dataset", "labelled", "method", "recipe", "title", "selection", "scoring", "seeds"]
    assert table.columns[:8].tolist() == keys
    for metric in METRICS:
        assert {f"{metric}_{part}" for part in PARTS} <= set(table)
    assert row(table, "vnet")["recipe"] == "shared"


def test_score_files_of_different_scans_are_an_error(tmp_path, near):
    other = write(tmp_path, "other", [scores().iloc[1:]])
    with pytest.raises(ValueError, match="different scans, such as scan 00"):
        build_table("la", [line("vnet", [near[0], *other])], NOTHING)
    with pytest.raises(ValueError, match="different scans, such as scan 00"):
        build_table("la", [line("sgrs", near, reference=True), line("vnet", other)], NOTHING)


def test_a_published_number_stands_only_under_its_own_selection_and_scoring(near):
    both = beside_published("vnet", near)
    both["scores"] = {"last": near, "best_on_test": near}
    table = build_table("la", [both], published(vnet=52.55))
    shown = table[table["dice_published"].notna()]
    assert shown[["selection", "scoring"]].to_numpy().tolist() == [["best_on_test", "published"]]
    found = row(table, "vnet", "published", selection="best_on_test")
    assert found["dice_published"] == 52.55
    assert found["dice_difference"] == pytest.approx(found["dice_ours"] - 52.55)
    others = table[table["dice_published"].isna()]
    assert set(others["dice_verdict"]) == {""}
    assert others["dice_difference"].isna().all()


def test_where_nothing_is_comparable_no_published_number_stands(near):
    table = build_table("la", [line("vnet", near)], published(vnet=52.55))
    assert table[[f"{metric}_published" for metric in METRICS]].isna().all(axis=None)
    assert set(table["dice_verdict"]) == {""}


@pytest.mark.parametrize(
    ("off", "margin", "word"),
    [(0.0, 1.0, "equivalent"), (0.3, 0.4, "inconclusive"), (2.0, 1.0, "different")],
)
def test_a_verdict_is_said_of_a_published_number(near, off, margin, word):
    given = published(vnet=mean_dice(near) + off)
    rules = Rules({**Rules().margin, "dice": margin})
    table = build_table("la", [beside_published("vnet", near)], given, rules)
    assert row(table, "vnet", "published")["dice_verdict"] == word


def test_one_seed_tells_nothing_of_a_published_number(near):
    table = build_table("la", [beside_published("vnet", near[:1])], published(vnet=10.0))
    assert row(table, "vnet", "published")["dice_verdict"] == "inconclusive"


def test_distances_that_hold_an_empty_predictions_0_are_not_judged(tmp_path):
    lines = [
        beside_published(variant, write(tmp_path, variant, [scores(80, seed=seed, empty=empty)
                         for seed in range(3)]), reference=not empty)
        for variant, empty in (("sgrs", []), ("vnet", [0]))
    ]  # fmt: skip
    table = build_table("la", lines, published(vnet=80.0, sgrs=80.0))
    found = row(table, "vnet", "published")
    assert found["hd95_verdict"] == found["asd_verdict"] == ""
    assert np.isnan([found["hd95_p"], found["asd_p"], found["hd95_against"]]).all()
    assert found["dice_verdict"] != ""
    assert not np.isnan(found["dice_p"])
    assert row(table, "sgrs", "published")["hd95_verdict"] != ""
    assert not np.isnan(row(table, "vnet", "strict")["hd95_p"])


def test_a_published_row_that_we_do_not_run_stands_only_where_one_may_be_compared(near):
    not_run = {"variant": "dtc", "labelled": 4, "published_selection": "best_on_test", "scores": {}}
    table = build_table("la", [not_run, line("toy", near)], published(dtc=81.25))
    found = row(table, "dtc", "published")
    assert (found["seeds"], found["dice_published"], found["dice_verdict"]) == (0, 81.25, "")
    assert "dtc" not in set(table.loc[table["scoring"] == "strict", "method"])
    elsewhere = build_table("la", [{**not_run, "published_selection": None}, line("toy", near)],
                            published(dtc=81.25))  # fmt: skip
    assert set(elsewhere["method"]) == {"toy"}


def test_two_rows_of_ours_may_stand_beside_one_published_row(near):
    lines = [
        beside_published("bcp", near),
        beside_published("bcp_official", near, published="bcp", recipe="official"),
    ]
    table = build_table("la", lines, published(bcp=88.02))
    for variant, recipe in (("bcp", "shared"), ("bcp_official", "official")):
        found = row(table, variant, "published")
        assert (found["dice_published"], found["recipe"]) == (88.02, recipe)


@pytest.fixture
def tested(tmp_path):
    """SGRS-Net, a method 6 points worse, and one that differs by noise alone; three seeds each."""
    seeds = {"sgrs": 86, "vnet": 80, "dtc": 86}
    files = {
        variant: write(tmp_path, variant, [scores(dice, seed=10 * place + seed)
                                           for seed in range(3)])
        for place, (variant, dice) in enumerate(seeds.items())
    }  # fmt: skip
    lines = [line(name, files[name], reference=name == "sgrs") for name in files]
    return build_table("la", lines, NOTHING), files


def test_methods_are_compared_with_the_reference_over_seeds_and_scans_and_corrected(tested):
    table, files = tested
    sgrs, *others = (gather([pandas.read_csv(f) for f in files[name]], "strict") for name in files)
    found = [compare(one.of("dice"), sgrs.of("dice")) for one in others]
    for name, one, p in zip(("vnet", "dtc"), found, holm([one.p for one in found]), strict=True):
        shown = row(table, name)
        assert shown["reference"] == "sgrs"
        assert shown["dice_p"] == p
        assert shown["dice_against"] == pytest.approx(
            shown["dice_ours"] - row(table, "sgrs")["dice_ours"]
        )
        assert (shown["dice_against_low"], shown["dice_against_high"]) == (one.low, one.high)
    assert row(table, "vnet")["dice_p"] < 0.05 < row(table, "dtc")["dice_p"]
    assert np.isnan(row(table, "sgrs")["dice_p"])


def test_no_p_comes_from_one_seed(tested):
    _, files = tested
    lines = [line("sgrs", files["sgrs"], reference=True), line("vnet", files["vnet"][:1])]
    found = row(build_table("la", lines, NOTHING), "vnet")
    assert np.isnan(found["dice_p"])
    assert found["dice_against"] < -4


def test_each_recipe_is_tested_against_its_own_reference(tmp_path, tested):
    _, files = tested
    lines = [
        line("sgrs", files["sgrs"], reference=True),
        line("sgrs2", files["dtc"], reference=True, recipe="official"),
        line("vnet", files["vnet"], recipe="official"),
        line("bcp", files["vnet"]),
    ]
    table = build_table("la", lines, NOTHING)
    assert row(table, "vnet")["reference"] == "sgrs2"
    assert row(table, "bcp")["reference"] == "sgrs"


@pytest.mark.parametrize(("bound", "word"), [(80, "within"), (86.2, "not shown"), (95, "worse")])
def test_how_close_the_reference_comes_to_the_upper_bound_is_said(tmp_path, tested, bound, word):
    _, files = tested
    upper = write(tmp_path, "all", [scores(bound, seed=90 + seed) for seed in range(3)])
    lines = [
        line("sgrs", files["sgrs"], reference=True),
        line("vnet", upper, upper_bound=True) | {"labelled": 80},
    ]
    found = row(build_table("la", lines, NOTHING), "sgrs")
    assert (found["upper_bound"], found["upper_bound_labelled"]) == ("vnet", 80)
    assert found["upper_bound_verdict"] == word
    assert found["upper_bound_low"] < found["upper_bound_difference"] < found["upper_bound_high"]


def test_a_table_read_back_is_the_table(tmp_path, tested):
    table, _ = tested
    table.to_csv(tmp_path / "table.csv", index=False)
    back = read_table(tmp_path / "table.csv")
    assert back.columns.tolist() == table.columns.tolist()
    assert back["dice_verdict"].tolist() == table["dice_verdict"].tolist()


def test_names_and_titles_that_look_like_numbers_stay_what_they_are(tmp_path):
    tables = [scores(80, seed=seed, scans=12) for seed in range(2)]
    named = [one.assign(scan=[f"{place:03}" for place in range(12)]) for one in tables]
    files = write(tmp_path, "one", named)
    assert sorted(read_scores(files[0])["scan"])[0] == "000"
    build_table("la", [line("007", files, title="2024")], NOTHING).to_csv(tmp_path / "table.csv")
    table = read_table(tmp_path / "table.csv")
    assert set(table["method"]) == {"007"}
    assert set(table["title"]) == {"2024"}


def test_all_comparisons_of_a_table_share_their_draws(tmp_path):
    """What takes a bootstrap its time is drawn once for 24 rows, four metrics and two scorings."""
    lines = [
        line(f"method {place}", write(tmp_path, str(place), [scores(80, seed=seed + 7 * place)
             for seed in range(3)]), reference=not place)
        for place in range(25)
    ]  # fmt: skip
    statistics._draws.cache_clear()
    build_table("la", lines, NOTHING)
    kinds = 3  # seeds of the one, seeds of the other, scans
    assert statistics._draws.cache_info().misses == kinds * statistics.BLOCKS


def test_folds_are_pooled_scan_by_scan_and_their_deviation_is_shown(tmp_path):
    """Two seeds of three folds: a table says what it would say of each seed's scans at once."""
    whole = {
        name: [moved(scores(level, scans=21, seed=seed), seed) for seed in seeds]
        for name, level, seeds in (("vnet", 70, (0, 1)), ("sgrs", 80, (2, 3)))
    }
    pooled = {name: write(tmp_path, f"pooled-{name}", seeds) for name, seeds in whole.items()}
    folded = {
        name: write(tmp_path, name, [seed[fold::3] for seed in seeds for fold in range(3)])
        for name, seeds in whole.items()
    }
    tables = [
        build_table("own", [line("vnet", files["vnet"], **more),
                            line("sgrs", files["sgrs"], reference=True, **more)], NOTHING)
        for files, more in ((pooled, {}), (folded, {"folds": 3}))
    ]  # fmt: skip
    without, found = (row(table, "vnet") for table in tables)
    runs = [100 * seed[fold::3]["dice"].mean() for seed in whole["vnet"] for fold in range(3)]
    assert found["dice_spread"] == pytest.approx(np.std(runs, ddof=1))
    assert (found["seeds"], found["scans"], found["folds"]) == (2, 21, 3)
    same = [*(f"dice_{part}" for part in ("ours", "low", "high", "p", "against")), "empty"]
    assert {key: found[key] for key in same} == pytest.approx({key: without[key] for key in same})
    assert 0 < found["dice_p"] < 1
    assert "folds" not in tables[0]
