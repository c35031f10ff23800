"""How sure a mean over scans is, and whether two methods differ on the same scans.

No torch here: a job that writes a table starts in a second.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 9_999
CONFIDENCE = 0.95


def interval(values: ArrayLike) -> tuple[float, float]:
    """The bootstrap 95% interval of the mean, by percentiles: (low, high).

    values: (n,), one for each scan; NaN are left out. The same values give the same interval. NaN
    from fewer than two.
    """
    kept = _numbers(values)
    kept = kept[~np.isnan(kept)]
    if len(kept) < 2:
        return np.nan, np.nan
    result = stats.bootstrap(
        (kept,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(result.low), float(result.high)


def paired_p(values: ArrayLike, others: ArrayLike) -> float:
    """The two-sided p of Wilcoxon's signed-rank test, in [0, 1].

    Both (n,), of the same scans in the same order; pairs with a NaN are left out. Equal values
    throughout give 1; NaN from no pair.
    """
    differences = _numbers(values) - _numbers(others)
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return np.nan
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: p values such that all tests together err with the level's probability.

    In the order given; NaN stay and do not count. Source: Holm, Scand. J. Statistics 6 (1979).
    """
    values = _numbers(p)
    corrected = np.full_like(values, np.nan)
    order = [int(i) for i in values.argsort() if not np.isnan(values[i])]
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * values[i]))
        corrected[i] = highest
    return [float(value) for value in corrected]


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
