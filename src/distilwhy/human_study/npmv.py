"""Nonparametric multivariate analysis of variance by ranks (Burchett, Ellis, Harrar, Bathke 2017).

The R package npmv's ``nonpartest``, two of its four statistics, from the formulas of its paper
(Journal of Statistical Software 76, issue 4, section 2).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from distilwhy.human_study.ratings import Indices, Numbers
from distilwhy.records import Record

DETERMINED = 1e-10
"""Smallest share of the largest eigenvalue below which a matrix of ranks counts as singular."""


class RankManova(Record):
    """A test of no difference between conditions in any construct.

    Args:
        statistic: Wilks' lambda; for the ANOVA type, F itself. ``None`` where it is not
            computable, like the rest.
        F: The approximately F-distributed statistic.
        df1: Its first degrees of freedom.
        df2: Its second degrees of freedom.
        p: Upper tail.
        n: Rows with all constructs rated.
        reason: Why there is no result; ``None`` where there is one.
    """

    statistic: float | None = None
    F: float | None = None
    df1: float | None = None
    df2: float | None = None
    p: float | None = None
    n: int
    reason: str | None = None


class Npmv(Record):
    """Both statistics.

    Args:
        anova_type: The ANOVA-type statistic.
        wilks: Wilks' lambda of the ranks.
    """

    anova_type: RankManova
    wilks: RankManova


def npmv(values: Numbers, condition: Indices) -> Npmv:
    """Test all constructs at once by ranks; rows with a missing rating are left out.

    Each construct is ranked on its own, ties getting their mean rank.

    Args:
        values: Ratings, shape ``(rows, constructs)``, NaN if missing.
        condition: The condition's number, shape ``(rows,)``.
    """
    whole = ~np.isnan(values).any(axis=1)
    ranks = stats.rankdata(values[whole], axis=0)
    groups = [ranks[condition[whole] == number] for number in np.unique(condition[whole])]
    n = len(ranks)
    reason = None
    if len(groups) < 2:
        reason = "there is only one condition with whole rows" if n else "no row is whole"
    elif min(map(len, groups)) < 2:
        reason = "a condition has fewer than two whole rows"
    if reason is not None:
        return Npmv(anova_type=RankManova(n=n, reason=reason), wilks=RankManova(n=n, reason=reason))
    return Npmv(anova_type=_anova_type(groups, n), wilks=_wilks(groups, ranks))


def _scatter(rows: Numbers) -> Numbers:
    """Return sums of squares and products about the mean, shape ``(constructs, constructs)``."""
    centred = rows - rows.mean(axis=0)
    return np.asarray(centred.T @ centred)


def _anova_type(groups: list[Numbers], n: int) -> RankManova:
    """Compare the traces of H2 and G3, which weigh conditions alike, whatever their size."""
    a = len(groups)
    sizes = np.array([len(group) for group in groups])
    between = _scatter(np.array([group.mean(axis=0) for group in groups])) / (a - 1)
    within = np.mean([_scatter(g) / (len(g) * (len(g) - 1)) for g in groups], axis=0)
    trace = float(np.trace(within))
    if trace <= 0:
        return RankManova(n=n, reason="no condition's ratings vary")
    df1 = (a - 1) * trace**2 / float(np.trace(within @ within))
    df2 = a**2 / ((a - 1) * float((1 / (sizes - 1)).sum())) * df1
    f = float(np.trace(between)) / trace
    return RankManova(statistic=f, F=f, df1=df1, df2=df2, p=float(stats.f.sf(f, df1, df2)), n=n)


def _wilks(groups: list[Numbers], ranks: Numbers) -> RankManova:
    """Return Wilks' lambda of the ranks with Rao's F approximation."""
    n, p = ranks.shape
    h = len(groups) - 1
    within = np.sum([_scatter(group) for group in groups], axis=0)
    eigenvalues = np.linalg.eigvalsh(within)
    if eigenvalues[0] <= DETERMINED * eigenvalues[-1]:
        reason = "within conditions a construct does not vary, or hangs on the others wholly"
        return RankManova(n=n, reason=reason)
    signs, logs = np.linalg.slogdet(np.array([within, _scatter(ranks)]))
    assert (signs > 0).all()  # both are positive definite, since the part within is
    statistic = float(np.exp(logs[0] - logs[1]))
    rest = p**2 + h**2 - 5
    t = math.sqrt((p**2 * h**2 - 4) / rest) if rest > 0 else 1.0
    df1 = float(p * h)
    df2 = (n - 1 - (p + h + 1) / 2) * t - (p * h - 2) / 2
    if df2 <= 0:
        return RankManova(n=n, reason="there are too few rows for so many constructs")
    root = statistic ** (1 / t)
    f = (1 - root) / root * df2 / df1
    p_value = float(stats.f.sf(f, df1, df2))
    return RankManova(statistic=statistic, F=f, df1=df1, df2=df2, p=p_value, n=n)
