"""`sgrs compare`: two runs' scores beside each other."""

import pandas
import pytest
from scipy import stats

from sgrs_core.command_line import main
from sgrs_core.evaluation.units import METRICS
from sgrs_core.reporting.comparison import score_files
from sgrs_core.reporting.statistics import compare
from tests.synthetic_scores import moved, scores


def method(folder, name, tables):
    """A method's folder: a score file in each of its seeds' folders."""
    for seed, table in enumerate(tables):
        file = folder / name / f"seed-{seed}" / "last" / "scores.csv"
        file.parent.mkdir(parents=True)
        table.sample(frac=1, random_state=seed).to_csv(file, index=False)
    return folder / name


@pytest.fixture
def better(tmp_path):
    return method(tmp_path, "better", [scores(85, seed=seed) for seed in range(3)])


@pytest.fixture
def worse(tmp_path):
    return method(tmp_path, "worse", [moved(scores(85, seed=seed), -6) for seed in range(3)])


def test_methods_with_seeds_are_compared_as_the_tables_do(better, worse, tmp_path, capsys):
    output = tmp_path / "difference.csv"
    assert main(["compare", str(better), str(worse), "-o", str(output)]) == 0
    table = pandas.read_csv(output)
    means = table[table["scan"].isna()].set_index("metric")
    assert list(means.index) == list(METRICS)
    dice = [[sorted_dice(folder, seed) for seed in range(3)] for folder in (better, worse)]
    expected = compare(*dice)
    assert tuple(means.loc["dice", ["difference", "low", "high", "p"]]) == pytest.approx(
        (expected.value, expected.low, expected.high, expected.p)
    )
    printed = capsys.readouterr().out
    assert "20 scans, 3 and 3 seeds: methods" in printed
    assert f"{expected.value:+.2f}" in printed


def sorted_dice(folder, seed):
    table = pandas.read_csv(folder / f"seed-{seed}" / "last" / "scores.csv")
    return 100 * table.sort_values("scan")["dice"]


def test_the_csv_has_every_scans_difference_of_the_means_over_seeds(better, worse, tmp_path):
    output = tmp_path / "difference.csv"
    main(["compare", str(better), str(worse), "-o", str(output)])
    table = pandas.read_csv(output)
    dice = table[(table["metric"] == "dice") & table["scan"].notna()]
    assert len(dice) == 20
    first = sum(sorted_dice(better, seed).iloc[0] for seed in range(3)) / 3
    assert dice.iloc[0]["a"] == pytest.approx(first)
    assert (dice["a"] - dice["b"]).to_list() == pytest.approx(dice["difference"].to_list())


def test_single_networks_are_compared_by_a_paired_t_test_that_says_what_it_leaves_out(
    better, worse, tmp_path, capsys
):
    output = tmp_path / "difference.csv"
    pair = [str(better / "seed-0"), str(worse / "seed-1/last/scores.csv")]
    assert main(["compare", *pair, "-o", str(output)]) == 0
    means = pandas.read_csv(output).iloc[0]
    expected = stats.ttest_rel(sorted_dice(better, 0), sorted_dice(worse, 1))
    interval = expected.confidence_interval()
    assert tuple(means[["low", "high", "p"]]) == pytest.approx(
        (interval.low, interval.high, expected.pvalue)
    )
    assert "trained networks, not methods" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (
            (2, 1),
            "2 and 1 seeds: trained networks, not methods: the p are of chance in scans alone",
        ),
        (
            (2, 2),
            "2 and 2 seeds: methods: the p are of chance in seeds and scans. Two seeds hardly",
        ),
        (
            (3, 2),
            "3 and 2 seeds: methods: the p are of chance in seeds and scans. Two seeds hardly",
        ),
        ((3, 3), "3 and 3 seeds: methods: the p are of chance in seeds and scans.\n"),
    ],
)
def test_the_last_line_says_of_what_chance_the_p_are(seeds, said, tmp_path, capsys):
    runs = [
        method(tmp_path, name, [scores(80 + seed, seed=seed) for seed in range(count)])
        for name, count in zip("ab", seeds, strict=True)
    ]
    assert main(["compare", *map(str, runs)]) == 0
    assert said in capsys.readouterr().out


def test_an_interval_is_printed_to_what_is_possible_and_stands_whole_in_the_csv(tmp_path, capsys):
    apart = method(tmp_path, "apart", [scores(94, seed=0), scores(6, seed=1)])
    steady = method(tmp_path, "steady", [scores(30, seed=seed) for seed in range(2)])
    assert main(["compare", str(apart), str(steady), "-o", str(tmp_path / "both.csv")]) == 0
    assert "[-100.00, +100.00]" in capsys.readouterr().out.splitlines()[1]
    dice = pandas.read_csv(tmp_path / "both.csv").iloc[0]
    assert dice["low"] < -100
    assert dice["high"] > 100


def test_of_two_scans_there_is_a_difference_and_no_p(tmp_path, capsys):
    for count in (1, 3):
        pair = [
            method(
                tmp_path, f"{name}{count}", [scores(dice, scans=2, seed=s) for s in range(count)]
            )
            for name, dice in (("a", 80), ("b", 70))
        ]
        assert main(["compare", *map(str, pair)]) == 0
        out = capsys.readouterr().out
        assert "nan" not in out
        assert out.endswith(" From fewer than 3 scans there is no interval and no p.\n")


def test_seeds_and_scans_too_alike_for_a_p_are_said_to_be(tmp_path, capsys):
    varying = method(tmp_path, "varying", [scores(80, scans=3, seed=seed) for seed in range(2)])
    alike = method(tmp_path, "alike", [scores(70, scans=3)] * 2)
    assert main(["compare", str(varying), str(alike)]) == 0
    _, dice, *_, said = capsys.readouterr().out.splitlines()
    assert "[" not in dice
    assert said.endswith(" Too many of the bootstrap's draws hold nothing that varies for a p.")


def test_distances_that_hold_an_empty_predictions_0_are_not_judged(better, tmp_path, capsys):
    empty = method(tmp_path, "empty", [scores(80, seed=seed, empty=[0]) for seed in range(3)])
    assert main(["compare", str(better), str(empty), "--scoring", "published"]) == 0
    _, dice, _, hd95, _, said = capsys.readouterr().out.splitlines()
    assert "[" in dice
    assert "[" not in hd95
    assert said.endswith("Distances in which an empty prediction counts as 0 are not judged.")


def test_runs_of_different_scans_are_refused_by_name(better, tmp_path, capsys):
    fewer = method(tmp_path, "fewer", [scores(scans=19)])
    assert main(["compare", str(better), str(fewer)]) == 1
    said = capsys.readouterr().err
    assert "different scans, such as scan 19" in said
    assert str(fewer) in said
    assert said.count("\n") == 1


def test_scans_of_one_name_and_different_sizes_are_refused(better, tmp_path, capsys):
    halved = [scores(85, seed=seed).assign(diagonal=50.0) for seed in range(3)]
    assert main(["compare", str(better), str(method(tmp_path, "halved", halved))]) == 1
    said = capsys.readouterr().err
    assert "has a diagonal of " in said
    assert " voxels in one and 50 in the other: not the same scan, or not of the same size" in said


@pytest.mark.parametrize("path", ["better", "better/../better", "better/seed-1"])
def test_a_run_is_not_compared_with_itself(path, better, tmp_path, capsys):
    assert main(["compare", str(better), f"{tmp_path}/{path}"]) == 1
    assert "the same run twice" in capsys.readouterr().err


def test_a_distance_that_no_file_tells_is_said_to_be_unknown(better, tmp_path, capsys):
    old = [scores(85, seed=seed, empty=[0]).drop(columns="diagonal") for seed in range(3)]
    assert main(["compare", str(better), str(method(tmp_path, "old", old))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "not known: an empty mask" in line] == [
        "95HD",
        "ASD",
    ]
    assert not any("nan" in line for line in lines)


def test_a_table_does_not_replace_what_it_is_made_from(better, tmp_path, capsys):
    scores(85, seed=5).to_csv(mine := tmp_path / "mine.csv", index=False)
    before = mine.read_text()
    assert main(["compare", str(better), str(mine), "-o", str(mine)]) == 1
    assert "the table is made from this file; write elsewhere" in capsys.readouterr().err
    assert mine.read_text() == before


@pytest.mark.parametrize("name", ["nothing", "better/seed-0"])
def test_a_folder_without_scores_says_what_to_give(name, better, tmp_path, capsys):
    assert main(["compare", str(tmp_path / name), str(better), "--selection", "best_on_test"]) == 1
    assert "no scores of the selection best_on_test here; give" in capsys.readouterr().err


def test_seeds_are_taken_in_whichever_folder_is_named(better):
    assert len(score_files(better, "last")) == 3
    assert score_files(better / "seed-1", "last") == [better / "seed-1/last/scores.csv"]
    assert score_files(better / "seed-1/last", "last") == [better / "seed-1/last/scores.csv"]
