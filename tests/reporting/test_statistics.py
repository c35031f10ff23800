"""What the tables' words mean, and how often they are wrong."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from sgrs_core.reporting.statistics import (
    BLOCK,
    BLOCKS,
    DIFFERENT,
    EQUIVALENT,
    INCONCLUSIVE,
    NOT_SHOWN,
    WITHIN,
    WORSE,
    Difference,
    compare,
    error_of_p,
    holm,
    mean_interval,
    non_inferiority,
    verdict,
)

P_VALUES = some.lists(some.floats(0, 1), min_size=1, max_size=12)
EXPERIMENTS = 2_000
SCANS = 20


def test_an_interval_is_that_of_scipys_t_test_row_by_row():
    values = np.random.default_rng(1).normal(80, 10, (5, SCANS))
    low, high = mean_interval(values, 0.9)
    for place, row in enumerate(values):
        expected = stats.ttest_1samp(row, 0).confidence_interval(0.9)
        assert (low[place], high[place]) == pytest.approx((expected.low, expected.high))


def test_95_of_100_intervals_of_20_normal_scores_hold_the_true_mean():
    low, high = mean_interval(np.random.default_rng(2).normal(80, 10, (EXPERIMENTS, SCANS)))
    assert 0.93 <= np.mean((low <= 80) & (high >= 80)) <= 0.97


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, np.nan]])
def test_fewer_than_two_values_and_unknown_ones_have_no_interval(values):
    assert all(np.isnan(mean_interval(values)))


def experiments(count: int, off: float, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """A published number each, and `count` seeds of ours that are `off` points away from it."""
    seeds = np.random.default_rng(count).normal(80, deviation, (EXPERIMENTS, count + 1))
    return seeds[:, 0], seeds[:, 1:] + off


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("deviation", [0.3, 1, 3])
def test_where_nothing_differs_different_is_said_in_at_most_6_of_100_experiments(seeds, deviation):
    published, ours = experiments(seeds, 0, deviation)
    assert np.mean(verdict(published, ours, margin=1) == DIFFERENT) <= 0.06


def test_three_points_are_seen_by_five_seeds_that_lie_half_a_point_apart():
    published, ours = experiments(5, 3, 0.5)
    assert np.mean(verdict(published, ours, margin=1) == DIFFERENT) >= 0.9


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("deviation", [0.1, 0.3, 1])
def test_of_methods_a_whole_margin_apart_at_most_6_of_100_are_called_equivalent(seeds, deviation):
    published, ours = experiments(seeds, 1, deviation)
    assert np.mean(verdict(published, ours, margin=1) == EQUIVALENT) <= 0.06


def test_the_same_is_called_equivalent_once_seeds_lie_close_enough():
    published, ours = experiments(5, 0, 0.1)
    assert np.mean(verdict(published, ours, margin=1) == EQUIVALENT) >= 0.9
    published, ours = experiments(3, 0, 1)
    assert np.mean(verdict(published, ours, margin=1) == INCONCLUSIVE) >= 0.9


def test_a_verdict_by_hand():
    seeds = [79.0, 80.0, 81.0]  # s = 1; t(0.975, 2) s sqrt(4/3) = 4.97, t(0.95, 2) ... = 3.37
    assert verdict(85.0, seeds, margin=1) == DIFFERENT
    assert verdict(84.9, seeds, margin=1) == INCONCLUSIVE
    assert verdict(80.0, seeds, margin=3.3) == INCONCLUSIVE
    assert verdict(80.0, seeds, margin=3.4) == EQUIVALENT


def test_one_seed_tells_nothing():
    assert verdict(10.0, [80.0], margin=1) == INCONCLUSIVE


def methods(
    generator: np.random.Generator, seeds: int, off: float, between: float, seed: float, rest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two methods on the same scans, (seeds, scans) each: scans of one difficulty for both, scans
    that suit one method (`between`), good and bad seeds (`seed`), and noise (`rest`)."""
    scans = generator.normal(80, 8, SCANS)

    def scores(mean: float) -> np.ndarray:
        suited = scans + mean + generator.normal(0, between, SCANS)
        noise = generator.normal(0, rest, (seeds, SCANS))
        return suited + generator.normal(0, seed, (seeds, 1)) + noise

    return scores(off), scores(0)


rough = partial(compare, blocks=1)  # for rates over many comparisons
NOISES = [(0, 1, 2), (3, 1, 3), (0, 1, 0.01), (6, 0.3, 4), (0, 0, 3)]


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("noise", NOISES)
def test_of_equal_methods_few_are_called_different(seeds, noise):
    generator = np.random.default_rng(seeds)
    found = [rough(*methods(generator, seeds, 0, *noise)).p < 0.05 for _ in range(200)]
    # The rates are 1 to 6 of 100; 200 experiments of a rate of 6 exceed 11 once in 500 times.
    assert np.mean(found) <= 0.11


@pytest.mark.parametrize(
    ("seeds", "deviations", "most"),
    [((3, 2), (0.5, 6), 0.23), ((2, 2), (3, 3), 0.14), ((3, 3), (0.5, 6), 0.12)],
)
def test_two_seeds_far_apart_beside_three_close_ones_err_three_times_as_often(
    seeds, deviations, most
):
    """The rates are 16, 6 and 6 of 100; 200 experiments exceed `most` once in 500 times."""
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        scans = generator.normal(80, 8, SCANS)
        one, other = (
            scans + generator.normal(0, 1, SCANS) + generator.normal(0, deviation, (number, 1))
            + generator.normal(0, 2, (number, SCANS))
            for number, deviation in zip(seeds, deviations, strict=True)
        )  # fmt: skip
        wrong += rough(one, other).p < 0.05
    assert wrong / 200 <= most
    if seeds == (3, 2):
        assert wrong / 200 > 0.09


def test_which_draws_were_made_does_not_decide():
    """A p near 0.05 moves in its third decimal, not its second, from one half to the other."""
    one, other = methods(np.random.default_rng(6), 3, 1, 1, 1, 1)
    assert compare(one, other).p == pytest.approx(compare(one, other, blocks=5).p, abs=0.002)


def test_plain_percentiles_would_be_wrong_three_times_as_often():
    """Why the bootstrap is studentised: three seeds say too little of their own spread."""
    generator = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        one, other = methods(generator, 3, 0, 0, 1, 0.01)
        drawn = [
            generator.choice(one, 3).mean() - generator.choice(other, 3).mean() for _ in range(199)
        ]
        wrong += not np.quantile(drawn, 0.025) <= 0 <= np.quantile(drawn, 0.975)
    assert wrong / 200 > 0.12


@pytest.mark.parametrize("seeds", [3, 5])
def test_three_points_between_methods_are_seen(seeds):
    generator = np.random.default_rng(seeds)
    found = [rough(*methods(generator, seeds, 3, 1, 0.5, 1)).p < 0.05 for _ in range(100)]
    assert np.mean(found) >= 0.9


def test_intervals_of_differences_hold_the_true_one():
    generator = np.random.default_rng(5)
    found = [rough(*methods(generator, 5, 3, 3, 1, 3)) for _ in range(200)]
    assert np.mean([one.low <= 3 <= one.high for one in found]) >= 0.93
    assert np.mean([one.least <= 3 for one in found]) >= 0.91
    assert np.mean([one.most >= 3 for one in found]) >= 0.91


def test_a_comparison_is_the_same_each_time_and_turns_with_its_methods():
    one, other = methods(np.random.default_rng(6), 3, 1, 1, 1, 1)
    there, back = compare(one, other), compare(other, one)
    assert compare(one, other) == there
    assert there.value == pytest.approx(one.mean() - other.mean())
    assert back.value == pytest.approx(-there.value)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), rel=0.05)
    assert there.low < there.least < there.value < there.most < there.high


def test_scans_that_are_hard_for_both_methods_do_not_hide_a_difference():
    generator = np.random.default_rng(7)
    hard = generator.normal(0, 30, SCANS)
    one, other = methods(generator, 3, 3, 1, 0.5, 1)
    apart, together = compare(one, other), compare(one + hard, other + hard)
    assert together == pytest.approx(apart)


def test_a_method_equals_itself_and_a_constant_difference_is_certain():
    one = np.tile(np.linspace(60, 90, SCANS), (3, 1))
    assert compare(one, one).p == 1
    assert compare(one + 3, one).p < 0.001


@pytest.mark.parametrize("shapes", [((1, 20), (3, 20)), ((3, 20), (1, 20)), ((3, 1), (3, 1))])
def test_one_seed_or_scan_gives_a_difference_without_a_p(shapes):
    one, other = (np.full(shape, value) for shape, value in zip(shapes, (80.0, 78.0), strict=True))
    found = compare(one, other)
    assert found.value == 2
    assert all(np.isnan(found[1:]))


@pytest.mark.parametrize(("scans", "is_known"), [(3, False), (4, True)])
def test_an_interval_reckoned_from_draws_without_variation_is_not_given(scans, is_known):
    one = np.array([[80.0, 81.0, 79.0, 77.0], [82.0, 80.0, 83.0, 80.0]])[:, :scans]
    other = np.array([[70.0, 75.0, 72.0, 70.0]] * 2)[:, :scans]  # two seeds that came out alike
    found = compare(one, other)
    assert found.value == pytest.approx(one.mean() - other.mean())
    assert np.isfinite(found[1:]).all() == is_known
    assert not np.abs(found).max() > 100


def test_coming_close_is_shown_only_by_the_whole_interval():
    assert non_inferiority(Difference(-0.2, least=-0.9, most=0.5), 1) == WITHIN
    assert non_inferiority(Difference(2, least=1, most=3), 1) == WITHIN
    assert non_inferiority(Difference(-0.2, least=-1.1, most=0.7), 1) == NOT_SHOWN
    assert non_inferiority(Difference(-3, least=-4, most=-1.1), 1) == WORSE
    assert non_inferiority(Difference(-0.2), 1) == NOT_SHOWN


def test_of_methods_a_whole_margin_worse_few_are_said_to_be_within_it():
    generator = np.random.default_rng(8)
    found = [rough(*methods(generator, 3, -1, 1, 0.3, 1)) for _ in range(200)]
    assert np.mean([non_inferiority(one, 1) == WITHIN for one in found]) <= 0.1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, np.nan, 0.03])[::2] == pytest.approx([0.02, 0.03])


@given(P_VALUES)
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p):
    corrected = holm(p)
    for one, other in zip(p, corrected, strict=True):
        assert one <= other <= min(1, one * len(p)) + 1e-12
    assert all(
        corrected[i] <= corrected[j] for i in range(len(p)) for j in range(len(p)) if p[i] < p[j]
    )


@given(P_VALUES)
def test_holm_rejects_what_its_step_down_procedure_rejects(p):
    level = 0.05
    rejected = set()
    for rank, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] * (len(p) - rank) > level:
            break
        rejected.add(int(i))
    assert {i for i, value in enumerate(holm(p)) if value <= level} == rejected


@pytest.mark.parametrize("p", [0.005, 0.05, 0.5])
def test_a_p_moves_with_its_draws_as_a_share_of_so_many_does(p):
    count = BLOCKS * BLOCK
    assert error_of_p(p) == pytest.approx(stats.binom(count, p).std() / count)
