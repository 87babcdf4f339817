"""Tests of what an analysis of variance assumes: equal variances, normal values.

Neither shows that an assumption holds: with few values a test finds little, whatever is true.
"""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.records import Record
from distilwhy.statistics.values import ROUNDING, all_equal, check_finite

MOST_FOR_SHAPIRO = 5000


class Levene(Record):
    """Levene's test of equal variances, from absolute deviations from each group's median.

    Args:
        statistic: F of the deviations; ``None`` where it is not computable, like ``p``.
        df_between: Groups minus one.
        df_within: Values minus groups.
        p: Upper tail of the F distribution.
        reason: Why there is no result; ``None`` where there is one.
    """

    statistic: float | None = None
    df_between: int
    df_within: int
    p: float | None = None
    reason: str | None = None


class ShapiroWilk(Record):
    """The Shapiro-Wilk test of normality.

    Args:
        n: Values.
        statistic: W, from 0 to 1; ``None`` where it is not computable, like ``p``.
        p: Chance of so small a W if the values are normal.
        reason: Why there is no result; ``None`` where there is one.
    """

    n: int
    statistic: float | None = None
    p: float | None = None
    reason: str | None = None


def levene(groups: Sequence[Sequence[float]]) -> Levene:
    """Test whether groups have equal variances (Levene 1960, by the median).

    The median in place of the mean is Brown and Forsythe's (1974); ``car::leveneTest`` and
    ``scipy.stats.levene`` compute it so by default.

    Args:
        groups: Finite numbers of each group; empty groups are left out.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np
    from scipy import stats

    kept = [[float(value) for value in group] for group in groups if len(group)]
    for group in kept:
        check_finite(group)
    n = sum(map(len, kept))
    shape = {"df_between": max(len(kept) - 1, 0), "df_within": n - len(kept)}
    if len(kept) < 2:
        return Levene(**shape, reason="there are fewer than two groups")
    if n == len(kept):
        return Levene(**shape, reason="no group has two values")
    if all(all_equal(group) for group in kept):
        return Levene(**shape, reason="all values of each group are equal")
    # Rounding is judged by the values' own size, since deviations may be rounding themselves.
    ends = [[abs(value - float(np.median(group))) for value in group] for group in kept]
    scale = max(abs(value) for group in kept for value in group)
    if all(max(group) - min(group) <= ROUNDING * scale for group in ends):
        return Levene(
            **shape, reason="in each group all values are equally far from the group's median"
        )
    result = stats.levene(*kept, center="median")
    return Levene(statistic=float(result.statistic), p=float(result.pvalue), **shape)


def shapiro_wilk(values: Sequence[float]) -> ShapiroWilk:
    """Test whether values come from a normal distribution (Shapiro and Wilk 1965; Royston 1995).

    Args:
        values: Finite numbers.

    Raises:
        DataError: When a value is not finite.
    """
    from scipy import stats

    check_finite(values)
    n = len(values)
    if n < 3:
        return ShapiroWilk(n=n, reason="there are fewer than three values")
    if n > MOST_FOR_SHAPIRO:
        return ShapiroWilk(n=n, reason=f"there are more than {MOST_FOR_SHAPIRO:,} values")
    if all_equal(values):
        return ShapiroWilk(n=n, reason="all values are equal")
    result = stats.shapiro(values)
    return ShapiroWilk(n=n, statistic=float(result.statistic), p=float(result.pvalue))
