"""Figures with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.evaluation.accuracy import LEVEL, proportion_interval
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
