"""Tests by ranks of one rated construct: Kruskal-Wallis, Dunn, and Vargha and Delaney's A."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from distilwhy.records import Record
from distilwhy.statistics.effects import vargha_delaney
from distilwhy.statistics.multiplicity import adjust

EMPTY = "a condition has no ratings"
ONE = "there is only one condition with ratings"
EQUAL = "all ratings are equal"


class Kruskal(Record):
    """The Kruskal-Wallis test: do any conditions' ratings differ?

    Args:
        H: The statistic, corrected for ties; ``None`` where it is not computable, like the rest.
        df: Conditions minus one.
        p: Upper tail of the chi-squared distribution.
        n: Ratings.
        reason: Why there is no result; ``None`` where there is one.
    """

    H: float | None = None
    df: int | None = None
    p: float | None = None
    n: int
    reason: str | None = None


class DunnPair(Record):
    """Dunn's test of two conditions.

    Args:
        a: First condition.
        b: Second condition.
        z: Mean rank of ``b`` minus that of ``a``, in standard errors; positive where ``b`` is rated
            higher.
        p: Two-sided, from the normal distribution.
        p_adj: The same times the number of pairs (Bonferroni), at most 1.
        reason: Why there is no result; ``None`` where there is one.
    """

    a: str
    b: str
    z: float | None = None
    p: float | None = None
    p_adj: float | None = None
    reason: str | None = None


class VdaPair(Record):
    """How often a rating of one condition exceeds one of another.

    Args:
        a: First condition.
        b: Second condition.
        A: Share of pairs of ratings in which that of ``a`` is higher, ties counted half: 0.5 is no
            difference, below it ``b`` is rated higher.
        ci_low: Lower end of its 95 % interval, which takes ratings as independent.
        ci_high: Its upper end.
        size: Its size in the words of Vargha and Delaney.
        reason: Why there is no result; ``None`` where there is one.
    """

    a: str
    b: str
    A: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    size: str | None = None
    reason: str | None = None


def kruskal(groups: Sequence[Sequence[float]]) -> Kruskal:
    """Test whether ratings of any conditions differ (Kruskal and Wallis 1952), corrected for ties.

    Args:
        groups: The ratings of each condition; empty ones are left out.
    """
    kept = [group for group in groups if len(group)]
    pooled = [value for group in kept for value in group]
    if len(kept) < 2:
        return Kruskal(n=len(pooled), reason=ONE if kept else "there are no ratings")
    if len(set(pooled)) == 1:
        return Kruskal(n=len(pooled), reason=EQUAL)
    result = stats.kruskal(*kept)
    return Kruskal(
        H=float(result.statistic), df=len(kept) - 1, p=float(result.pvalue), n=len(pooled)
    )


def dunn(labels: Sequence[str], groups: Sequence[Sequence[float]]) -> list[DunnPair]:
    """Compare all pairs of conditions by mean ranks (Dunn 1964), corrected for ties.

    Ranks are those among the ratings of all conditions. Signs are as in rstatix's ``dunn_test``;
    FSA's ``dunnTest`` has them the other way round.

    Args:
        labels: The conditions.
        groups: The ratings of each.
    """
    ranks = stats.rankdata([value for group in groups for value in group])
    n = len(ranks)
    ends = np.cumsum([len(group) for group in groups])[:-1]
    by_condition = np.split(ranks, ends)
    _, ties = np.unique(ranks, return_counts=True)
    variance = n * (n + 1) / 12 - float((ties**3 - ties).sum()) / (12 * (n - 1)) if n > 1 else 0.0
    pairs = []
    for first, second in combinations(range(len(labels)), 2):
        one, other = by_condition[first], by_condition[second]
        names = {"a": labels[first], "b": labels[second]}
        if not len(one) or not len(other):
            pairs.append(DunnPair(**names, reason=EMPTY))
        elif len(ties) == 1:
            pairs.append(DunnPair(**names, reason=EQUAL))
        else:
            error = np.sqrt(variance * (1 / len(one) + 1 / len(other)))
            z = float((other.mean() - one.mean()) / error)
            pairs.append(DunnPair(**names, z=z, p=float(2 * stats.norm.sf(abs(z)))))
    adjusted = adjust([pair.p for pair in pairs], "bonferroni")
    return [
        pair.model_copy(update={"p_adj": p_adj})
        for pair, p_adj in zip(pairs, adjusted, strict=True)
    ]


def vda(labels: Sequence[str], groups: Sequence[Sequence[float]]) -> list[VdaPair]:
    """Return Vargha and Delaney's A (2000) of all pairs: W / (n1 n2), W as R's ``wilcox.test``.

    Args:
        labels: The conditions.
        groups: The ratings of each.
    """
    pairs = []
    for first, second in combinations(range(len(labels)), 2):
        names = {"a": labels[first], "b": labels[second]}
        if not groups[first] or not groups[second]:
            pairs.append(VdaPair(**names, reason=EMPTY))
            continue
        effect = vargha_delaney(groups[first], groups[second])
        limits = {"ci_low": effect.ci_low, "ci_high": effect.ci_high}
        pairs.append(VdaPair(**names, A=effect.a, **limits, size=effect.size))
    return pairs
