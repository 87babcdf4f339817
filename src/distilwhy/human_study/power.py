"""How many participants the next study needs, and what this one could have found."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Literal

import numpy as np
from statsmodels.stats.power import TTestIndPower, TTestPower

from distilwhy.human_study.ratings import Numbers, Ratings
from distilwhy.records import Record

ALPHA = 0.05
POWER = 0.8
TESTS = {"paired": TTestPower(), "independent": TTestIndPower()}

Design = Literal["paired", "independent"]

MOST = 100_000


class PairPower(Record):
    """What it takes to find a difference of two conditions in four of five studies.

    Args:
        a: First condition.
        b: Second condition.
        design: ``paired`` where participants rated both, else ``independent``.
        difference: Mean over participants, ``b`` minus ``a``, in points of the scale; ``None``
            where it is not computable, like the rest.
        sd: Standard deviation between participants of their differences or, independent, means.
        participants: Participants the figures come from.
        for_observed: Participants needed to find the observed difference (both groups together
            where independent); ``None`` where more than 100,000 are.
        for_least: Participants needed to find the least difference of interest.
        detectable: Smallest difference that as many participants as there were would find.
        reason: Why a figure is missing; ``None`` where none is.
    """

    a: str
    b: str
    design: Design = "paired"
    difference: float | None = None
    sd: float | None = None
    participants: int
    for_observed: int | None = None
    for_least: int | None = None
    detectable: float | None = None
    reason: str | None = None


def power(ratings: Ratings, name: str, least: float) -> list[PairPower]:
    """Plan the next study for every two conditions, by t-tests on participants' means.

    Each has a two-sided level of 5 % over the number of pairs and a power of 80 %; the number of
    explanations that a participant rates stays what it was. What is observed is itself uncertain:
    plan with the least difference of interest.

    Args:
        ratings: The ratings.
        name: The construct, or ``quality``.
        least: Least difference of interest, in points of the scale, above 0.
    """
    means = _participant_means(ratings, name)
    pairs = list(combinations(range(len(ratings.conditions)), 2))
    return [
        _plan(
            {"a": ratings.conditions[first], "b": ratings.conditions[second]},
            means[:, first],
            means[:, second],
            ALPHA / len(pairs),
            least,
        )
        for first, second in pairs
    ]


def _participant_means(ratings: Ratings, name: str) -> Numbers:
    """Return mean ratings, shape ``(participants, conditions)``, NaN where there is none."""
    values = ratings.outcome(name)
    known = ~np.isnan(values)
    shape = (len(ratings.participants), len(ratings.conditions))
    sums, counts = np.zeros(shape), np.zeros(shape)
    places = (ratings.participant[known], ratings.condition[known])
    np.add.at(sums, places, values[known])
    np.add.at(counts, places, 1)
    return np.asarray(np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0))


def _plan(
    names: dict[str, str], first: Numbers, second: Numbers, alpha: float, least: float
) -> PairPower:
    both = ~np.isnan(first) & ~np.isnan(second)
    design: Design = "paired"
    if both.sum() >= 2:
        changes = second[both] - first[both]
        people = int(both.sum())
        difference, sd = float(changes.mean()), float(changes.std(ddof=1))
    else:
        one, other = first[~np.isnan(first)], second[~np.isnan(second)]
        people = len(one) + len(other)
        if min(len(one), len(other)) < 2:
            return PairPower(**names, participants=people, reason="there are too few participants")
        design = "independent"
        difference = float(other.mean() - one.mean())
        squares = sum(float(((g - g.mean()) ** 2).sum()) for g in (one, other))
        sd = float(np.sqrt(squares / (people - 2)))
    told = {**names, "design": design, "difference": difference, "sd": sd, "participants": people}
    if sd <= 1e-12:
        return PairPower(**told, reason="participants do not differ")
    groups = 2 if design == "independent" else 1
    smallest = _detectable(design, max(people // groups, 2), alpha)
    observed = _needed(design, abs(difference) / sd, alpha)
    for_least = _needed(design, least / sd, alpha)
    return PairPower(
        **told,
        for_observed=None if observed is None else observed * groups,
        for_least=None if for_least is None else for_least * groups,
        detectable=smallest * sd,
        reason=None
        if observed
        else f"the observed difference needs more than {MOST:,} participants",
    )


def _needed(design: Design, size: float, alpha: float) -> int | None:
    """Return the least number of participants (a group) with enough power."""

    def enough(n: int) -> bool:
        return bool(TESTS[design].power(size, n, alpha) >= POWER)

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@cache
def _detectable(design: Design, n: int, alpha: float) -> float:
    """Return the size of effect, in standard deviations, that n participants (a group) find."""
    test = TESTS[design]
    low, high = 0.0, 1.0
    while test.power(high, n, alpha) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if test.power(middle, n, alpha) >= POWER else (middle, high)
    return high
