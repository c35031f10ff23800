import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from sgrs_core.statistics import holm, interval, paired_p

P_VALUES = some.lists(some.floats(0, 1), min_size=1, max_size=12)


def test_an_interval_holds_the_mean_and_shrinks_with_the_root_of_the_number():
    generator = np.random.default_rng(1)
    widths = []
    for number in (25, 400):
        values = generator.normal(80, 10, number)
        low, high = interval(values)
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_an_interval_of_a_normal_sample_is_close_to_students():
    values = np.random.default_rng(2).normal(80, 10, 200)
    expected = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert interval(values) == pytest.approx(expected, abs=0.3)


def test_95_of_100_intervals_hold_the_true_mean():
    generator = np.random.default_rng(3)
    held = [
        low <= 80 <= high
        for low, high in (interval(generator.normal(80, 10, 40)) for _ in range(200))
    ]
    assert 0.89 <= np.mean(held) <= 0.98


def test_an_interval_is_the_same_each_time_and_leaves_out_nan():
    values = np.random.default_rng(4).normal(size=20)
    assert interval(values) == interval(np.append(values, np.nan))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan]])
def test_fewer_than_two_values_have_no_interval(values):
    assert all(np.isnan(interval(values)))


def test_the_paired_test_is_scipys_on_the_pairs_that_are_whole():
    one, other = np.random.default_rng(5).normal(size=(2, 20))
    expected = stats.wilcoxon(one[1:], other[1:]).pvalue
    one[0] = np.nan
    assert paired_p(one, other) == expected


def test_the_paired_test_of_a_method_with_itself_is_1_and_of_nothing_is_none():
    assert paired_p([1.0, 2.0], [1.0, 2.0]) == 1
    assert np.isnan(paired_p([np.nan], [1.0]))


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
