"""What all statistics ask of their numbers first: are they finite, do they differ at all?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from distilwhy.errors import DataError

ROUNDING = 1e-9
"""Share of the largest absolute value below which a difference counts as rounding."""


def check_finite(values: Sequence[float], subject: str = "values") -> None:
    """Refuse numbers that are not finite; no statistic has a meaning for them.

    Args:
        values: The numbers.
        subject: What they are called in the message.

    Raises:
        DataError: When any is NaN or infinite.
    """
    wrong = sum(not math.isfinite(value) for value in values)
    if wrong:
        raise DataError(
            f"{subject}: {wrong} of {len(values)} numbers are not finite.",
            "Leave out missing values.",
        )


def rounding_of(values: Sequence[float]) -> float:
    """Return the size below which differences among some numbers count as rounding."""
    return ROUNDING * max((abs(value) for value in values), default=0.0)


def all_equal(values: Sequence[float]) -> bool:
    """Return whether numbers are all the same up to rounding; so are one and none."""
    return not values or max(values) - min(values) <= rounding_of(values)
