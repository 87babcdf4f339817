"""Corrections of p-values for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Method = Literal["holm", "bonferroni", "fdr_bh"]
"""Holm's step-down method (1979), Bonferroni's, or Benjamini and Hochberg's false discovery rate
(1995)."""


def adjust(p_values: Sequence[float | None], method: Method = "holm") -> list[float | None]:
    """Correct the p-values of a family of tests.

    Args:
        p_values: One a test, from 0 to 1; ``None`` for tests that could not be computed, which
            count as no member of the family.
        method: How to correct.

    Returns:
        Corrected p-values, at most 1, in the order given; ``None`` where there was none.
    """
    from statsmodels.stats.multitest import multipletests

    known = [p for p in p_values if p is not None]
    if not known:
        return [None] * len(p_values)
    adjusted = iter(multipletests(known, method=method)[1])
    return [None if p is None else float(next(adjusted)) for p in p_values]
