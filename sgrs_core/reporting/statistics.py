"""How sure a mean is, and what a comparison may be called.

docs/tables.md explains each function to someone who has had one course of statistics;
tests/reporting/test_statistics.py measures how often each word is wrong. No torch here: a job that
writes a table starts in a second.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
FEWEST_SCANS = 3
BLOCKS, BLOCK = 9, 11_111  # resamples: others move a p of 0.05 by 0.0007, see `error_of_p`
SMALLEST_ERROR = 1e-9  # in a table's units; keeps a quotient defined where nothing varies

EQUIVALENT, DIFFERENT, INCONCLUSIVE = "equivalent", "different", "inconclusive"
WITHIN, NOT_SHOWN, WORSE = "within", "not shown", "worse"


class Difference(NamedTuple):
    """Of two methods, `value`, with its interval `low` to `high` and the p of no difference.

    least, most: ends of the two one-sided intervals of the same confidence: the difference is at
    least, or at most, so much.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    least: float = np.nan
    most: float = np.nan


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """Student's t interval of the mean along the last axis: (low, high), each of the other axes.

    NaN from fewer than two values, and where one of them is NaN.
    """
    numbers = _numbers(values)
    count = numbers.shape[-1]
    if count < 2:
        nothing = np.full(numbers.shape[:-1], np.nan)[()]
        return nothing, nothing
    reach = stats.t.ppf((1 + confidence) / 2, count - 1) * stats.sem(numbers, axis=-1)
    mean = numbers.mean(axis=-1)
    return mean - reach, mean + reach


def verdict(
    published: ArrayLike, seeds: ArrayLike, margin: float, confidence: float = CONFIDENCE
) -> Any:
    """What may be said of a published value beside ours, taken as one more seed's.

    published: any shape. seeds: ours, that shape and a last axis, one for each seed. With
    e = s sqrt(1 + 1/k), k seeds of standard deviation s: `equivalent` where two one-sided tests say
    that the difference is smaller than the margin, |d| + t(confidence, k - 1) e <= margin; else
    `different` where |d| > t((1 + confidence) / 2, k - 1) e; else, and from one seed,
    `inconclusive`. A text, or an array of them.
    """
    numbers = _numbers(seeds)
    count = numbers.shape[-1]
    distance = np.abs(numbers.mean(axis=-1) - _numbers(published))
    if count < 2:
        return np.full(distance.shape, INCONCLUSIVE)[()]
    error = numbers.std(axis=-1, ddof=1) * np.sqrt(1 + 1 / count)
    one_sided, two_sided = stats.t.ppf([confidence, (1 + confidence) / 2], count - 1)
    return np.select(
        [distance + one_sided * error <= margin, distance > two_sided * error],
        [EQUIVALENT, DIFFERENT],
        INCONCLUSIVE,
    )[()]


def compare(
    values: ArrayLike,
    others: ArrayLike,
    confidence: float = CONFIDENCE,
    blocks: int = BLOCKS,
) -> Difference:
    """Two methods on the same scans: a hierarchical bootstrap of paired differences.

    values, others: (seeds, scans), the scans in the same order; the seeds may differ in number.
    Seeds are drawn anew for each method, then scans, the same ones for both; each draw's deviation
    is divided by its own standard error (a studentised bootstrap: with three seeds, plain
    percentiles call every sixth comparison of equals a difference). The value alone where one
    method has one seed, whose noise nobody knows, or where there are fewer than three scans; also
    where too many draws hold one seed and one scan alone, so that nothing in them varies. The same
    values give the same answer. blocks: of BLOCK draws.
    """
    one, other = _numbers(values), _numbers(others)
    value = float(one.mean() - other.mean())
    if min(len(one), len(other)) < 2 or one.shape[1] < FEWEST_SCANS or np.isnan(value):
        return Difference(value)
    whole = (np.full((1, size), 1 / size) for size in (len(one), len(other), one.shape[1]))
    (_,), (error,) = _differences(one, other, *whole)
    sizes = (len(one), len(other), one.shape[1])
    found = []
    for block in range(blocks):
        weights = (_draws(size, stream, block) / size for stream, size in enumerate(sizes))
        found.append(_differences(one, other, *weights))
    drawn, errors = np.concatenate(found, axis=1)
    if error > SMALLEST_ERROR and np.mean(errors == SMALLEST_ERROR) >= 1 - confidence:
        return Difference(value)
    ratios = (drawn - value) / errors
    farther = np.count_nonzero(np.abs(ratios) >= abs(value) / error)
    reach = np.quantile(np.abs(ratios), confidence) * error
    lowest, highest = np.quantile(ratios, [1 - confidence, confidence]) * error
    return Difference(
        value,
        float(value - reach),
        float(value + reach),
        p=float((1 + farther) / (1 + ratios.size)),
        least=float(value - highest),
        most=float(value - lowest),
    )


def compare_networks(
    values: ArrayLike, others: ArrayLike, confidence: float = CONFIDENCE
) -> Difference:
    """Two networks on the same scans, in the same order: (scans,); Student's paired t test.

    It knows nothing of what other seeds would have given: two networks are compared, not two
    methods. The value alone from fewer than three scans.
    """
    one, other = _numbers(values), _numbers(others)
    value = float(one.mean() - other.mean())
    if len(one) < FEWEST_SCANS or np.isnan(value):
        return Difference(value)
    low, high = mean_interval(one - other, confidence)
    return Difference(value, float(low), float(high), float(stats.ttest_rel(one, other).pvalue))


def non_inferiority(difference: Difference, margin: float) -> str:
    """What may be said of a method that should come within a margin of another, or be better.

    `within`: it is at most the margin worse; `worse`: it is worse by more; else `not shown`.
    """
    if difference.least > -margin:
        return WITHIN
    return WORSE if difference.most < -margin else NOT_SHOWN


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: p values such that all tests together err with the level's probability.

    In the order given; NaN stay and do not count. Source: Holm, Scand. J. Statistics 6 (1979).
    """
    values = _numbers(p)
    corrected = np.full_like(values, np.nan)
    order = values.argsort()[: np.count_nonzero(~np.isnan(values))]  # NaN come last
    tests_left = np.arange(len(order), 0, -1)
    corrected[order] = np.maximum.accumulate(np.minimum(1, tests_left * values[order]))
    return corrected.tolist()


def error_of_p(p: float, draws: int = BLOCKS * BLOCK) -> float:
    """By how much, a standard error, a bootstrap's p moves with which resamples were drawn."""
    return float(np.sqrt(p * (1 - p) / draws))


def _differences(
    one: Numbers, other: Numbers, of_one: Numbers, of_other: Numbers, of_scans: Numbers
) -> tuple[Numbers, Numbers]:
    """Differences of means, and their standard errors, under weights: (draws, seeds or scans).

    The squared error is the variance of each method's seeds over their number, and that of the
    scans' differences over theirs.
    """
    scans = of_one @ one - of_other @ other  # (draws, scans): means over seeds
    squares = _squared_error(of_scans, scans)
    for values, weights in ((one, of_one), (other, of_other)):
        squares += _squared_error(weights, of_scans @ values.T)
    return (of_scans * scans).sum(axis=1), np.maximum(np.sqrt(squares), SMALLEST_ERROR)


def _squared_error(weights: Numbers, values: Numbers) -> Numbers:
    """Of the weighted mean of each row, as from a sample of as many as there are columns."""
    centred = values - (weights * values).sum(axis=1, keepdims=True)
    squares: Numbers = (weights * centred**2).sum(axis=1) / (values.shape[1] - 1)
    return squares


@cache
def _draws(size: int, stream: int, block: int) -> NDArray[np.uint16]:
    """How often each of `size` things is in each resample: (BLOCK, size); rows sum to `size`."""
    generator = np.random.default_rng([block, stream, size])
    return generator.multinomial(size, np.full(size, 1 / size), BLOCK).astype(np.uint16)


def _numbers(values: ArrayLike) -> Numbers:
    return np.asarray(values, dtype=np.float64)
