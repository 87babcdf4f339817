"""Permutation tests and bootstrap standard errors of a difference of two means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from distilwhy.records import Record
from distilwhy.statistics.values import check_finite, rounding_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_FLIPPED = 16
"""Pairs up to which all 2**n ways of exchanging them are gone through."""
MOST_SPLITS = 50_000
"""Splits of two groups up to which all are gone through."""
DRAWS = 100_000
RESAMPLES = 10_000
QUESTIONS_AT_ONCE = 500


class Permutation(Record):
    """A two-sided permutation test of a difference of means.

    Args:
        p: Share of the arrangements whose difference is at least as far from zero.
        smallest_p: The smallest p that any data of this size could have.
        exact: Whether all arrangements were gone through; else some were drawn.
        arrangements: How many arrangements there were, or were drawn.
    """

    p: float
    smallest_p: float
    exact: bool
    arrangements: int


def smallest_p_of_pairs(n: int) -> float:
    """Return the smallest two-sided p that a permutation test of n pairs can reach."""
    return max(2.0 ** (1 - n), 1 / (DRAWS + 1) if n > MOST_FLIPPED else 0.0) if n else 1.0


def smallest_p_of_groups(m: int, n: int) -> float:
    """Return the smallest two-sided p that a permutation test of two groups can reach.

    In equal groups each split has a mirror image, which is as far from zero.
    """
    splits = math.comb(m + n, m)
    return max((2 if m == n else 1) / splits, 1 / (DRAWS + 1) if splits > MOST_SPLITS else 0.0)


def paired_permutation(differences: Sequence[float], seed: int = 0) -> Permutation:
    """Test whether the mean of paired differences is zero by exchanging the two of each pair.

    Fisher's test (1935): if neither of two ways is better, each difference could as well have had
    the other sign. Exact up to 16 pairs.

    Args:
        differences: Finite numbers, at least one: the first of each pair minus its second.
        seed: Seed of the draw where there are too many ways to go through all.

    Raises:
        DataError: When a difference is not finite.
    """
    import numpy as np

    check_finite(differences, "differences")
    values = np.asarray(differences, dtype=float)
    n = len(values)
    exact = n <= MOST_FLIPPED
    if exact:
        # The first sign stands still: a way and its mirror image are equally far from zero.
        codes = np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1)
        signs = np.hstack([np.ones((len(codes), 1)), 1.0 - 2.0 * (codes & 1)])
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, n))
    least = abs(values.sum()) - n * rounding_of(differences)
    count = int(np.sum(np.abs(signs @ values) >= least))
    return Permutation(
        p=count / len(signs) if exact else (count + 1) / (DRAWS + 1),
        smallest_p=smallest_p_of_pairs(n),
        exact=exact,
        arrangements=2**n if exact else DRAWS,
    )


def group_permutation(
    first: Sequence[float], second: Sequence[float], seed: int = 0
) -> Permutation:
    """Test whether two independent groups have equal means by splitting all values anew.

    Exact where there are at most 50,000 splits.

    Args:
        first: Finite numbers, at least one.
        second: The same of the other group.
        seed: Seed of the draw where there are too many splits to go through all.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np

    values = np.asarray([*first, *second], dtype=float)
    check_finite([*first, *second])
    m, n = len(first), len(second)
    exact = math.comb(m + n, m) <= MOST_SPLITS
    if exact:
        members = np.asarray(list(combinations(range(m + n), m)))
    else:
        order = np.tile(np.arange(m + n), (DRAWS, 1))
        members = np.random.default_rng(seed).permuted(order, axis=1)[:, :m]
    # The group's sum tells the difference of means, as the sum of all stays what it is.
    apart = np.abs(values[members].sum(axis=1) - m * values.mean())
    least = abs(values[:m].sum() - m * values.mean()) - m * rounding_of([*first, *second])
    count = int(np.sum(apart >= least))
    return Permutation(
        p=count / len(apart) if exact else (count + 1) / (DRAWS + 1),
        smallest_p=smallest_p_of_groups(m, n),
        exact=exact,
        arrangements=len(apart),
    )


def resampled_means(
    scores: NDArray[Any], seed: int = 0, resamples: int = RESAMPLES
) -> NDArray[Any]:
    """Return each row's mean over columns drawn with replacement, the same columns for all rows.

    Args:
        scores: Rows by columns, e.g. runs by test questions.
        seed: Seed of the draws; equal for all that shall see the same columns.
        resamples: How often columns are drawn.

    Returns:
        Rows by resamples.
    """
    import numpy as np

    n = scores.shape[1]
    generator = np.random.default_rng(seed)
    even = np.full(n, 1 / n)
    parts = [
        # How often each column was drawn says as much as which were, in one matrix product.
        generator.multinomial(n, even, size=min(QUESTIONS_AT_ONCE, resamples - done)) @ scores.T / n
        for done in range(0, resamples, QUESTIONS_AT_ONCE)
    ]
    return np.concatenate(parts).T


def resampled_rows(means: NDArray[Any], seed: int = 0) -> NDArray[Any]:
    """Return the mean over rows drawn with replacement, a fresh draw for each column.

    Args:
        means: Rows by resamples, e.g. what :func:`resampled_means` returns of some runs.
        seed: Seed of the draws; equal where two sets of rows are drawn in pairs.

    Returns:
        One mean for each resample.
    """
    import numpy as np

    rows, columns = means.shape
    drawn = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=columns)
    mean: NDArray[Any] = (drawn.T * means).sum(axis=0) / rows
    return mean
