"""The smallest difference that a permutation test would have found often enough."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

from distilwhy.statistics.resampling import smallest_p_of_groups, smallest_p_of_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

POWER = 0.8
SAMPLES = 2000
MOST_PAIRS = 10
MOST_SPLITS = 1000
STEPS = 12
LARGEST = 64.0


@cache
def detectable_by_pairs(n: int, alpha: float = 0.05, power: float = POWER) -> float | None:
    """Return the smallest true mean of n paired differences that the test finds often enough.

    Up to 10 pairs by simulation of the permutation test on 2,000 samples of normal
    differences; above, by the t-test, which it then hardly differs from.

    Args:
        n: Pairs.
        alpha: Level below which p must lie.
        power: Share of the samples in which it must.

    Returns:
        The mean in standard deviations of the differences; ``None`` where no difference, however
        large, can give so small a p.
    """
    import numpy as np

    if smallest_p_of_pairs(n) >= alpha:
        return None
    if n > MOST_PAIRS:
        from statsmodels.stats.power import TTestPower

        return float(TTestPower().solve_power(nobs=n, alpha=alpha, power=power))
    codes = np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1)
    signs = np.hstack([np.ones((len(codes), 1)), 1.0 - 2.0 * (codes & 1)])
    noise = np.random.default_rng(0).standard_normal((SAMPLES, n))

    def found(size: float) -> float:
        sums = np.abs((noise + size) @ signs.T)
        # The first way is the one that was observed.
        p = np.mean(sums >= sums[:, :1] - 1e-9, axis=1)
        return float(np.mean(p < alpha))

    return _smallest(found, power)


@cache
def detectable_by_groups(m: int, n: int, alpha: float = 0.05, power: float = POWER) -> float | None:
    """Return the smallest true difference of two groups' means that the test finds often enough.

    Up to 1,000 splits by simulation of the permutation test on normal values, 2,000 samples; above,
    by the t-test.

    Args:
        m: Values of the first group.
        n: Values of the second group.
        alpha: Level below which p must lie.
        power: Share of the samples in which it must.

    Returns:
        The difference in standard deviations within groups; ``None`` where no difference, however
        large, can give so small a p.
    """
    import numpy as np

    if smallest_p_of_groups(m, n) >= alpha:
        return None
    splits = np.asarray(list(combinations(range(m + n), m))) if m + n < 13 else None
    if splits is None or len(splits) > MOST_SPLITS:
        from statsmodels.stats.power import TTestIndPower

        return float(TTestIndPower().solve_power(nobs1=m, ratio=n / m, alpha=alpha, power=power))
    member = np.zeros((len(splits), m + n))
    np.put_along_axis(member, splits, 1.0, axis=1)
    noise = np.random.default_rng(0).standard_normal((SAMPLES, m + n))

    def found(size: float) -> float:
        values = noise + size * (np.arange(m + n) < m)
        apart = np.abs(values @ member.T - m * values.mean(axis=1, keepdims=True))
        p = np.mean(apart >= apart[:, :1] - 1e-9, axis=1)
        return float(np.mean(p < alpha))

    return _smallest(found, power)


def _smallest(found: Callable[[float], float], power: float) -> float | None:
    """Return by bisection the smallest size that is found often enough; ``None`` where none is."""
    low, high = 0.0, 1.0
    while found(high) < power:
        low, high = high, 2 * high
        if high > LARGEST:
            return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high
