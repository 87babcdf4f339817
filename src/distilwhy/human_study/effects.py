"""Sizes of differences between conditions, with intervals that draw whole participants."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from distilwhy.human_study.permutation import Scheme
from distilwhy.human_study.ratings import Numbers, Ratings
from distilwhy.records import Record

RESAMPLES = 5_000
LEVEL = 0.95
WITHIN: Scheme = "within participants"
BETWEEN: Scheme = "between participants"
FEWEST = 5
"""Participants below whom resampling them says nothing."""


class Effect(Record):
    """The difference of two conditions.

    Args:
        a: First condition.
        b: Second condition.
        difference: What the permutation test of the pair tests, ``b`` minus ``a``, in points of the
            scale. Within participants: their own differences of means, weighted by
            ``n_a n_b / (n_a + n_b)`` of their ratings, which is the coefficient of a regression
            with a term for each participant. Where none rated both: the difference of the means of
            participants' means. ``None`` where it is not computable, like the rest.
        ci_low: Lower end of its 95 % percentile bootstrap interval over participants.
        ci_high: Its upper end.
        scheme: Which of the two it is.
        raw: Mean of all ratings of ``b`` minus that of ``a``, whoever gave them. Where participants
            who rate high saw one condition more often, it says something of them too.
        raw_low: Lower end of its interval, by the same resamples.
        raw_high: Its upper end.
        A: Share of pairs of ratings, whoever gave them, in which that of ``a`` is higher, ties
            counted half.
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
    scheme: Scheme | None = None
    raw: float | None = None
    raw_low: float | None = None
    raw_high: float | None = None
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
    for first, second in combinations(range(len(labels)), 2):
        names = {"a": labels[first], "b": labels[second]}
        if not observed[0, first].sum() or not observed[0, second].sum():
            found.append(Effect(**names, reason="a condition has no ratings"))
            continue
        parts, scheme, telling = _contrast(counts, first, second, values)
        everyone = np.ones((1, people))
        pooled, share = (float(x[0]) for x in _compare(observed, first, second, values))
        told = {"difference": float(_ratio(everyone, parts)[0]), "raw": pooled, "A": share}
        if people >= FEWEST:
            raw, shares = _compare(drawn, first, second, values)
            told |= _limits("raw", raw) | _limits("A", shares)
        if telling >= FEWEST:
            told |= _limits("ci", _ratio(weights.astype(float), parts))
        reason = few if telling < FEWEST else None
        found.append(Effect(**names, **told, scheme=scheme, reason=reason))
    return found


def _limits(name: str, drawn: Numbers) -> dict[str, float]:
    ends = {"low": (1 - LEVEL) / 2, "high": (1 + LEVEL) / 2}
    return {f"{name}_{end}": float(np.nanquantile(drawn, share)) for end, share in ends.items()}


def _contrast(
    counts: Numbers, first: int, second: int, values: Numbers
) -> tuple[Numbers, Scheme, int]:
    """Return what each participant adds to the difference that the permutation test tests.

    Args:
        counts: Ratings of each value, shape ``(participants, conditions, values)``.
        first: Number of the condition that is subtracted.
        second: Number of the other.
        values: The values.

    Returns:
        Numerators and denominators of means, the second of which is subtracted from the first,
        shape ``(participants, 2, 2)``; the scheme; how many participants say something.
    """
    pair = counts[:, [second, first]]
    numbers = pair.sum(axis=2)
    with np.errstate(invalid="ignore"):
        means = np.nan_to_num(pair @ values / numbers)
    both = (numbers > 0).all(axis=1)
    if both.any():
        weight = np.where(both, numbers.prod(axis=1) / np.maximum(numbers.sum(axis=1), 1), 0)[
            :, None
        ]
        return np.stack([means * weight, weight.repeat(2, axis=1)], axis=2), WITHIN, int(both.sum())
    seen = (numbers > 0).astype(float)
    return np.stack([means, seen], axis=2), BETWEEN, int(seen.sum())


def _ratio(weights: Numbers, parts: Numbers) -> Numbers:
    """Return the difference of both means for participants' weights ``(samples, participants)``."""
    sums = np.einsum("sp,pmk->smk", weights, parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[..., 0] / sums[..., 1]
    return np.asarray(means[:, 0] - means[:, 1])


def _compare(counts: Numbers, first: int, second: int, values: Numbers) -> tuple[Numbers, Numbers]:
    """Return mean differences and Vargha-Delaney A of counts ``(samples, conditions, values)``."""
    one, other = counts[:, first], counts[:, second]
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = one / one.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True)
    below = other.cumsum(axis=1) - other / 2
    return (other - one) @ values, (one * below).sum(axis=1)
