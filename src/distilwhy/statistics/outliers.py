"""Outliers by the 1.5 IQR rule (Tukey 1977), as rstatix's ``identify_outliers`` applies it."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.records import Record
from distilwhy.statistics.values import check_finite, rounding_of

COEFFICIENT = 1.5


class Fences(Record):
    """The range outside which a value is an outlier.

    Args:
        low: First quartile minus ``coefficient`` times the interquartile range.
        high: Third quartile plus as much.
        q1: The first quartile.
        q3: The third quartile.
    """

    low: float
    high: float
    q1: float
    q3: float


def fences(values: Sequence[float], coefficient: float = COEFFICIENT) -> Fences:
    """Return the fences of some values.

    Quartiles are of type 7 (Hyndman and Fan 1996), the default of R and numpy.

    Args:
        values: At least one finite number.
        coefficient: Interquartile ranges between a quartile and its fence.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np

    check_finite(values)
    q1, q3 = (float(q) for q in np.quantile(values, [0.25, 0.75]))
    reach = coefficient * (q3 - q1)
    return Fences(low=q1 - reach, high=q3 + reach, q1=q1, q3=q3)


def outliers(values: Sequence[float], coefficient: float = COEFFICIENT) -> list[bool]:
    """Return for each value whether it lies strictly outside the fences.

    A value on a fence is none. Floating-point numbers can push such a value to either side, so one
    that is outside by rounding alone (a billionth of the largest absolute value) counts as on it.

    Args:
        values: Finite numbers, in any order; none give an empty list.
        coefficient: Interquartile ranges between a quartile and its fence.

    Raises:
        DataError: When a value is not finite.
    """
    if not values:
        return []
    limits, slack = fences(values, coefficient), rounding_of(values)
    return [value < limits.low - slack or value > limits.high + slack for value in values]


def rstatix_outliers(values: Sequence[float]) -> list[bool]:
    """Return for each value whether rstatix's ``identify_outliers`` calls it an outlier.

    Bit for bit, in R's own order of operations: a value on a fence is an outlier where rounding
    puts the fence beyond it, which :func:`outliers` does not let it do. Means of five ratings lie
    on fences often: with quartiles 3.4 and 4.6, R takes 1.6 for an outlier.

    Args:
        values: Finite numbers, in any order; none give an empty list.

    Raises:
        DataError: When a value is not finite.
    """
    check_finite(values)
    if not values:
        return []
    known = sorted(float(value) for value in values)

    def quartile(share: float) -> float:
        index = (len(known) - 1) * share
        low = int(index)
        rest = index - low
        if not rest or known[low] == known[low + 1]:
            return known[low]
        return (1 - rest) * known[low] + rest * known[low + 1]

    q1, q3 = quartile(0.25), quartile(0.75)
    reach = COEFFICIENT * (q3 - q1)
    return [value < q1 - reach or value > q3 + reach for value in values]
