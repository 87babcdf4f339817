"""How much ratings can be relied on: Cronbach's alpha, correlations, what participants share."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import stats

from distilwhy.human_study.ratings import CONSTRUCTS, Indices, Numbers, Ratings
from distilwhy.records import Record
from distilwhy.statistics.agreement import Agreement, krippendorff_alpha
from distilwhy.statistics.values import all_equal

LEVEL = 0.95


class CronbachAlpha(Record):
    """Cronbach's alpha of the five constructs.

    Args:
        alpha: The coefficient, at most 1; ``None`` where it is not computable, like the interval.
        ci_low: Lower end of its 95 % interval (Feldt 1965).
        ci_high: Its upper end.
        items: Constructs.
        n: Rows with all constructs rated.
        reason: Why there is no result; ``None`` where there is one.
    """

    alpha: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    items: int = len(CONSTRUCTS)
    n: int
    reason: str | None = None


class Correlation(Record):
    """How two constructs' ratings go together.

    Args:
        a: First construct.
        b: Second construct.
        r: Pearson's correlation; ``None`` where it is not computable, like the rest.
        p: Its two-sided p.
        rho: Spearman's rank correlation.
        rho_p: Its two-sided p.
        n: Rows with both rated.
        reason: Why there is no result; ``None`` where there is one.
    """

    a: str
    b: str
    r: float | None = None
    p: float | None = None
    rho: float | None = None
    rho_p: float | None = None
    n: int
    reason: str | None = None


class Intraclass(Record):
    """How alike ratings of one participant are.

    Args:
        icc: ICC(1), from below 0 to 1: about the share of variance that lies between participants;
            ``None`` where it is not computable.
        participants: Participants.
        n: Ratings.
        reason: Why there is no result; ``None`` where there is one.
    """

    icc: float | None = None
    participants: int
    n: int
    reason: str | None = None


def cronbach(values: Numbers) -> CronbachAlpha:
    """Return Cronbach's alpha (1951) over rows with no missing rating.

    Args:
        values: Ratings, shape ``(rows, constructs)``, NaN if missing.
    """
    whole = values[~np.isnan(values).any(axis=1)]
    n, k = whole.shape
    if n < 2:
        return CronbachAlpha(n=n, items=k, reason="there are fewer than two whole rows")
    total = float(whole.sum(axis=1).var(ddof=1))
    if total == 0:
        return CronbachAlpha(
            n=n, items=k, reason="the sum of the constructs is the same in all rows"
        )
    alpha = k / (k - 1) * (1 - float(whole.var(axis=0, ddof=1).sum()) / total)
    degrees = (n - 1, (n - 1) * (k - 1))
    low, high = (
        1 - (1 - alpha) * float(stats.f.ppf(share, *degrees))
        for share in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
    )
    return CronbachAlpha(alpha=alpha, ci_low=low, ci_high=high, n=n, items=k)


def correlations(ratings: Ratings) -> list[Correlation]:
    """Return the correlation of every two constructs over the rows that have both."""
    found = []
    for a, b in combinations(CONSTRUCTS, 2):
        one, other = ratings.outcome(a), ratings.outcome(b)
        both = ~(np.isnan(one) | np.isnan(other))
        told = {"a": a, "b": b, "n": int(both.sum())}
        one, other = one[both], other[both]
        if len(one) < 3:
            found.append(Correlation(**told, reason="fewer than three rows have both"))
        elif all_equal(one.tolist()) or all_equal(other.tolist()):
            found.append(Correlation(**told, reason="all ratings of one of them are equal"))
        else:
            pearson, spearman = stats.pearsonr(one, other), stats.spearmanr(one, other)
            figures = {"r": pearson.statistic, "p": pearson.pvalue}
            figures |= {"rho": spearman.statistic, "rho_p": spearman.pvalue}
            found.append(Correlation(**told, **{k: float(v) for k, v in figures.items()}))
    return found


def intraclass(values: Numbers, participant: Indices) -> Intraclass:
    """Return ICC(1) of participants, from the one-way analysis of variance (Donner 1986).

    Args:
        values: Ratings, shape ``(rows,)``, NaN if missing.
        participant: The participant's number, shape ``(rows,)``.
    """
    known = ~np.isnan(values)
    values, participant = values[known], participant[known]
    sizes = np.bincount(participant)
    sizes = sizes[sizes > 0]
    n, groups = len(values), len(sizes)
    told = {"participants": groups, "n": n}
    if groups < 2:
        return Intraclass(**told, reason="there is only one participant" if n else "no ratings")
    if n == groups:
        return Intraclass(**told, reason="no participant rated more than one explanation")
    sums = np.bincount(participant, values)[np.bincount(participant) > 0]
    between = float((sizes * (sums / sizes - values.mean()) ** 2).sum()) / (groups - 1)
    within = (float(((values - values.mean()) ** 2).sum()) - between * (groups - 1)) / (n - groups)
    typical = (n - float((sizes**2).sum()) / n) / (groups - 1)
    spread = between + (typical - 1) * within
    if all_equal(values.tolist()) or spread <= 0:
        return Intraclass(**told, reason="all ratings are equal")
    return Intraclass(**told, icc=(between - within) / spread)


def agreement(ratings: Ratings, name: str, seed: int = 0) -> Agreement:
    """Return Krippendorff's ordinal alpha over explanations that were rated more than once.

    A rating counts once a participant: the last of the same explanation.

    Args:
        ratings: The ratings.
        name: The construct.
        seed: Seed of the bootstrap.
    """
    if ratings.item is None:
        reason = "the table has no column 'rationale_id'"
        return Agreement(units=0, values=0, reason=reason)
    units: dict[int, dict[int, float]] = {}
    triples = zip(
        ratings.item.tolist(), ratings.participant.tolist(), ratings.outcome(name), strict=True
    )
    for item, participant, value in triples:
        if not np.isnan(value):
            units.setdefault(item, {})[participant] = float(value)
    found = krippendorff_alpha([list(unit.values()) for unit in units.values()], "ordinal", seed)
    if not found.units:
        return found.model_copy(update={"reason": "no explanation was rated by two participants"})
    return found
