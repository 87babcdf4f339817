"""Sizes of differences between two groups, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distilwhy.records import Record
from distilwhy.statistics.values import all_equal, check_finite

LEVEL = 0.95
LARGEST_T = 10_000
"""Beyond it the noncentral t distribution is not computed reliably."""


class VarghaDelaney(Record):
    """How often a value of the first group beats one of the second.

    Args:
        a: A, from 0 to 1: share of pairs in which the first is larger, ties counted half; 0.5 is
            no difference.
        ci_low: Lower end of its 95 % interval.
        ci_high: Its upper end.
    """

    a: float
    ci_low: float
    ci_high: float

    @property
    def size(self) -> str:
        """Its size in the words of Vargha and Delaney: negligible, small, medium or large."""
        distance = abs(self.a - 0.5)
        words = ((0.21, "large"), (0.14, "medium"), (0.06, "small"))
        # The limits, 0.56, 0.64 and 0.71, are decimals that floating-point numbers miss.
        return next((word for least, word in words if distance >= least - 1e-9), "negligible")


class Standardised(Record):
    """The difference of two means in standard deviations.

    Args:
        g: Hedges' g, first minus second; ``None`` where it is not computable.
        ci_low: Lower end of its 95 % interval; ``None`` where it is not computable.
        ci_high: Its upper end.
        reason: Why g or its interval is missing; ``None`` where both are there.
    """

    g: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None


def vargha_delaney(first: Sequence[float], second: Sequence[float]) -> VarghaDelaney:
    """Return Vargha and Delaney's A (2000), the Mann-Whitney statistic over the number of pairs.

    The interval is method 5 of Newcombe (Statistics in Medicine 25, 2006), which stays within 0
    and 1 and does not shrink to a point when one group lies wholly above the other.

    Args:
        first: Finite numbers, at least one.
        second: The same of the other group.

    Raises:
        DataError: When a value is not finite.
    """
    from scipy import stats

    check_finite([*first, *second])
    m, n = len(first), len(second)
    ranks = stats.rankdata([*first, *second])
    # In whole halves, so that no order of adding up changes the last digit.
    wins = round(2 * float(ranks[:m].sum())) / 2 - m * (m + 1) / 2
    a = wins / (m * n)
    low, high = _newcombe(a, m, n)
    return VarghaDelaney(a=a, ci_low=low, ci_high=high)


def _newcombe(a: float, m: int, n: int) -> tuple[float, float]:
    """Return the values whose own standard error puts them just 1.96 of it away from A."""
    from scipy import stats
    from scipy.optimize import brentq

    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    pairs = (m + n) / 2 - 1

    def low_end(a: float) -> float:
        def beyond(x: float) -> float:
            inner = 1 + pairs * (1 - x) / (2 - x) + pairs * x / (1 + x)
            return a - x - z * math.sqrt(x * (1 - x) * inner / (m * n))

        # At A = 1 the error is 0, which is a root as well, but not the one that is wanted.
        return float(brentq(beyond, 0.0, min(a, 1 - 1e-12), xtol=1e-14)) if a else 0.0

    return low_end(a), 1 - low_end(1 - a)


def hedges_g(first: Sequence[float], second: Sequence[float]) -> Standardised:
    """Return the standardised difference of two means (Hedges 1981), exactly corrected for bias.

    The interval inverts the noncentral t distribution (Steiger and Fouladi 1997); it takes values
    as normal and variances as equal.

    Args:
        first: Finite numbers.
        second: The same of the other group.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np
    from scipy.special import gammaln

    check_finite([*first, *second])
    m, n = len(first), len(second)
    df = m + n - 2
    if not m or not n or df < 1:
        return Standardised(reason="there are fewer than three values, or an empty group")
    if all_equal(first) and all_equal(second):
        return Standardised(reason="no group's values vary")
    squares = sum(float(np.sum((np.asarray(g) - np.mean(g)) ** 2)) for g in (first, second))
    d = float(np.mean(first) - np.mean(second)) / math.sqrt(squares / df)
    # The exact correction needs a second degree of freedom; without it g has no expectation.
    if df < 2:
        return Standardised(reason="there are fewer than four values")
    exact = math.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / math.sqrt(df / 2)
    root = math.sqrt(1 / m + 1 / n)
    if abs(d / root) > LARGEST_T:
        return Standardised(g=exact * d, reason="the values vary too little for an interval")
    low, high = (root * exact * limit for limit in _noncentral(d / root, df))
    return Standardised(g=exact * d, ci_low=low, ci_high=high)


def _noncentral(t: float, df: int) -> tuple[float, float]:
    """Return the noncentralities of which ``t`` is the upper and the lower 2.5 % point."""
    from scipy import stats
    from scipy.optimize import brentq

    def limit(share: float, sign: int) -> float:
        def beyond(noncentrality: float) -> float:
            return float(stats.nct.cdf(t, df, noncentrality)) - share

        step = 1.0
        while sign * beyond(t + sign * step) > 0:
            step *= 2
        return float(brentq(beyond, *sorted((t, t + sign * step)), xtol=1e-12))

    return limit((1 + LEVEL) / 2, -1), limit((1 - LEVEL) / 2, 1)
