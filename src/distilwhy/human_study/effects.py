"""Sizes of differences between conditions, with intervals that draw whole participants."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from distilwhy.human_study.ratings import Numbers, Ratings
from distilwhy.records import Record

RESAMPLES = 5_000
LEVEL = 0.95
FEWEST = 5
"""Participants below whom resampling them says nothing."""


class Effect(Record):
    """The difference of two conditions.

    Args:
        a: First condition.
        b: Second condition.
        difference: Mean rating of ``b`` minus that of ``a``, in points of the scale; ``None`` where
            it is not computable, like the rest.
        ci_low: Lower end of its 95 % percentile bootstrap interval over participants.
        ci_high: Its upper end.
        A: Share of pairs of ratings in which that of ``a`` is higher, ties counted half.
        A_low: Lower end of its interval, by the same resamples.
        A_high: Its upper end.
        p: Of the permutation test of the pair.
        p_adj: The same corrected by Holm's method over all pairs of all five constructs; for
            quality over its own pairs.
        reason: Why a figure is missing; ``None`` where none is.
    """

    a: str
    b: str
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    A: float | None = None
    A_low: float | None = None
    A_high: float | None = None
    p: float | None = None
    p_adj: float | None = None
    reason: str | None = None


def effects(ratings: Ratings, name: str, seed: int = 0) -> list[Effect]:
    """Return the difference of every two conditions in one construct, or in quality.

    Participants are drawn with all their ratings (cluster bootstrap, Davison and Hinkley 1997,
    section 3.8), since ratings of one participant depend on each other.

    Args:
        ratings: The ratings.
        name: The construct, or ``quality``.
        seed: Seed of the draws.
    """
    outcome = ratings.outcome(name)
    known = ~np.isnan(outcome)
    # Means such as 2.2 and 2.2 plus rounding are one value, and tie.
    values, place = np.unique(np.round(outcome[known], 9), return_inverse=True)
    people, labels = len(ratings.participants), ratings.conditions
    counts = np.zeros((people, len(labels), len(values)))
    np.add.at(counts, (ratings.participant[known], ratings.condition[known], place), 1)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(people, np.full(people, 1 / people), size=RESAMPLES)
    drawn = (weights @ counts.reshape(people, -1)).reshape(RESAMPLES, len(labels), len(values))
    observed = counts.sum(axis=0)[None]
    found = []
    few = f"there are fewer than {FEWEST} participants to draw from"
    reason = few if people < FEWEST else None
    for first, second in combinations(range(len(labels)), 2):
        names = {"a": labels[first], "b": labels[second]}
        if not observed[0, first].sum() or not observed[0, second].sum():
            found.append(Effect(**names, reason="a condition has no ratings"))
            continue
        difference, a = (float(x[0]) for x in _compare(observed, first, second, values))
        limits = {}
        if people >= FEWEST:
            differences, shares = _compare(drawn, first, second, values)
            limits = {
                key: float(np.nanquantile(numbers, share))
                for key, numbers, share in (
                    ("ci_low", differences, (1 - LEVEL) / 2),
                    ("ci_high", differences, (1 + LEVEL) / 2),
                    ("A_low", shares, (1 - LEVEL) / 2),
                    ("A_high", shares, (1 + LEVEL) / 2),
                )
            }
        found.append(Effect(**names, difference=difference, A=a, **limits, reason=reason))
    return found


def _compare(counts: Numbers, first: int, second: int, values: Numbers) -> tuple[Numbers, Numbers]:
    """Return mean differences and Vargha-Delaney A of counts ``(samples, conditions, values)``."""
    one, other = counts[:, first], counts[:, second]
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = one / one.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True)
    below = other.cumsum(axis=1) - other / 2
    return (other - one) @ values, (one * below).sum(axis=1)
