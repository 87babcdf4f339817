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
