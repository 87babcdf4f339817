"""Figures with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.evaluation.accuracy import LEVEL, largest_unseen_share, proportion_interval
from distilwhy.explainability.measures import Figure, ItemScores

RESAMPLES = 10_000
NOTHING = "no item to judge"


def share(values: Sequence[bool], seed: int, reason: str = NOTHING) -> Figure:
    """Return a share with its bootstrap interval (exact where all or none are true).

    Args:
        values: One value an item.
        seed: Seed of the bootstrap.
        reason: Why there is no figure, where there are no values.
    """
    if not values:
        return Figure(value=None, n=0, reason=reason)
    true = sum(values)
    low, high = proportion_interval(true, len(values), seed)
    return Figure(value=true / len(values), n=len(values), ci_low=low, ci_high=high)


def mean(values: Sequence[float], seed: int, reason: str = NOTHING) -> Figure:
    """Return a mean with its 95 % percentile bootstrap interval; one value has no interval.

    Args:
        values: One value an item.
        seed: Seed of the bootstrap.
        reason: Why there is no figure, where there are no values.
    """
    if not values:
        return Figure(value=None, n=0, reason=reason)
    import numpy as np
    from scipy.stats import bootstrap

    data = np.asarray(values, dtype=float)
    value, low, high = float(data.mean()), None, None
    if len(data) > 1:
        interval = bootstrap(
            (data,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(seed),
            batch=1000,
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return Figure(value=value, n=len(data), ci_low=low, ci_high=high)


def scores_of(items: Sequence[ItemScores], name: str) -> list[float]:
    """Return the items' scores of that name as numbers, those left out that do not apply."""
    found = [item.scores.get(name) for item in items]
    return [float(score) for score in found if score is not None and not isinstance(score, str)]


def share_of(items: Sequence[ItemScores], name: str, seed: int, reason: str = NOTHING) -> Figure:
    """Return the share of items of which a yes/no score is true."""
    return share([bool(score) for score in scores_of(items, name)], seed, reason)


def mean_of(items: Sequence[ItemScores], name: str, seed: int, reason: str = NOTHING) -> Figure:
    """Return the mean of a score over the items that have it."""
    return mean(scores_of(items, name), seed, reason)


def ratio_of(
    items: Sequence[ItemScores], top: str, bottom: str, seed: int, reason: str = NOTHING
) -> Figure:
    """Return the ratio of two counts' sums, its interval by drawing whole items with replacement.

    So things counted in one item, which resemble each other, do not pass for independent ones.
    Where the ratio is 0 or 1 the exact interval for so many items stands in.

    Args:
        items: Items; those whose lower count is missing or 0 say nothing and are left out.
        top: Name of the upper count, at most the lower one.
        bottom: Name of the lower count; the figure's n is its sum.
        seed: Seed of the bootstrap.
        reason: Why there is no figure, where the lower count is 0 everywhere.
    """
    counted = [item for item in items if item.scores.get(bottom)]
    if not counted:
        return Figure(value=None, n=0, reason=reason)
    import numpy as np

    above, below = np.array(scores_of(counted, top)), np.array(scores_of(counted, bottom))
    value, n = float(above.sum() / below.sum()), int(below.sum())
    if value in (0.0, 1.0):
        unseen = largest_unseen_share(len(counted))
        low, high = (0.0, unseen) if value == 0.0 else (1.0 - unseen, 1.0)
        return Figure(value=value, n=n, ci_low=low, ci_high=high)
    # Drawn as counts of each item, some resamples at a time.
    rng, even = np.random.default_rng(seed), np.full(len(counted), 1 / len(counted))
    ratios = []
    for _ in range(10):
        drawn = rng.multinomial(len(counted), even, size=RESAMPLES // 10)
        ratios.append(drawn @ above / (drawn @ below))
    low, high = np.quantile(np.concatenate(ratios), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value=value, n=n, ci_low=float(low), ci_high=float(high))
