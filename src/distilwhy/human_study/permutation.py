"""Permutation tests that keep to participants: a participant's own level explains nothing away.

Participants differ in how high they rate at all, so that ratings of one participant are no
independent draws. If conditions do not matter, a participant's ratings could as well have been
those of the conditions in another order; nothing else is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from distilwhy.human_study.ratings import Indices, Numbers
from distilwhy.records import Record

Scheme = Literal["within participants", "between participants"]

DRAWS = 9_999
AT_ONCE = 1_000_000
"""Numbers held at once."""
ROUNDING = 1e-9


class PermutationTest(Record):
    """A permutation test of whether conditions differ in mean rating.

    Args:
        statistic: Sum over conditions of ratings times the squared mean of what is left of them
            after each participant's mean; ``None`` where it is not computable, like ``p``.
        p: Share of arrangements, the observed one among them, with at least that statistic.
        p_adj: The same corrected by Holm's method over the five constructs.
        scheme: What was permuted: conditions of ratings ``within participants`` or, where each
            participant saw one condition only, conditions of whole participants.
        participants: Participants that say something: those with several conditions, or all.
        n: Their ratings.
        draws: Arrangements drawn.
        reason: Why there is no result; ``None`` where there is one.
    """

    statistic: float | None = None
    p: float | None = None
    p_adj: float | None = None
    scheme: Scheme | None = None
    participants: int
    n: int
    draws: int = DRAWS
    reason: str | None = None


@dataclass(frozen=True)
class Blocks:
    """Ratings ready to be permuted within blocks; all blocks are filled up to one size.

    Args:
        values: Ratings less the mean of their block, 0 in fillers, shape
            ``(blocks, size, outcomes)``.
        condition: Numbers of conditions from 0, -1 in fillers, which come last, shape
            ``(blocks, size)``.
        scheme: What a block is.
        participants: How many participants there are.
        n: How many ratings of one outcome there are.
    """

    values: Numbers
    condition: Indices
    scheme: Scheme
    participants: int
    n: int


def permutation_tests(
    values: Numbers, condition: Indices, participant: Indices, seed: int = 0
) -> list[PermutationTest]:
    """Test whether mean ratings differ between conditions, participants being kept apart.

    Args:
        values: Ratings, shape ``(rows, outcomes)``, NaN if missing.
        condition: The condition's number, shape ``(rows,)``.
        participant: The participant's number, shape ``(rows,)``.
        seed: Seed of the draws.

    Returns:
        One test an outcome.
    """
    known = ~np.isnan(values)
    found: list[PermutationTest | None] = [None] * values.shape[1]
    # Outcomes that lack the same ratings share their draws.
    for pattern in {column.tobytes() for column in known.T}:
        places = [place for place, column in enumerate(known.T) if column.tobytes() == pattern]
        rows = known[:, places[0]]
        parts = (values[rows][:, places], condition[rows], participant[rows])
        for place, test in zip(places, _tests(*parts, seed), strict=True):
            found[place] = test
    return [test for test in found if test is not None]


def pair_tests(
    values: Numbers, condition: Indices, participant: Indices, seed: int = 0
) -> dict[tuple[int, int], list[PermutationTest]]:
    """Run the tests for every two conditions, on the ratings of these two only.

    Args:
        values: Ratings, shape ``(rows, outcomes)``, NaN if missing.
        condition: The condition's number from 0, shape ``(rows,)``.
        participant: The participant's number, shape ``(rows,)``.
        seed: Seed of the draws.

    Returns:
        By numbers of two conditions, one test an outcome.
    """
    found = {}
    for pair in combinations(range(int(condition.max()) + 1), 2):
        rows = np.isin(condition, pair)
        parts = (values[rows], condition[rows], participant[rows])
        found[pair] = permutation_tests(*parts, seed)
    return found


def _tests(
    values: Numbers, condition: Indices, participant: Indices, seed: int
) -> list[PermutationTest]:
    """Test outcomes none of whose ratings is missing."""
    outcomes = range(values.shape[1])
    told = {"participants": len(np.unique(participant)), "n": len(values)}
    if len(np.unique(condition)) < 2:
        reason = "there are fewer than two conditions with ratings"
        return [PermutationTest(**told, reason=reason) for _ in outcomes]
    blocks = _blocks(values, condition, participant)
    told = {"participants": blocks.participants, "n": blocks.n}
    sizes = np.bincount(blocks.condition[blocks.condition >= 0])
    if sizes.sum() < 3:
        reason = "there are too few participants"
        return [PermutationTest(**told, reason=reason) for _ in outcomes]
    varying = np.abs(blocks.values).max(axis=(0, 1)) > ROUNDING
    observed = _statistics(blocks, blocks.condition[None], sizes)[0]
    drawn = _drawn(blocks, sizes, np.random.default_rng(seed))
    counts = (drawn >= observed * (1 - ROUNDING)).sum(axis=0)
    return [
        PermutationTest(
            **told,
            scheme=blocks.scheme,
            statistic=float(observed[place]),
            p=(1 + int(counts[place])) / (DRAWS + 1),
        )
        if varying[place]
        else PermutationTest(**told, scheme=blocks.scheme, reason="no participant's ratings vary")
        for place in outcomes
    ]


def _blocks(values: Numbers, condition: Indices, participant: Indices) -> Blocks:
    """Take participants as blocks, without those who rated one condition only and so say nothing.

    Where all rated one only, their means are what is permuted, all in one block.
    """
    _, person = np.unique(participant, return_inverse=True)
    _, condition = np.unique(condition, return_inverse=True)
    people = int(person.max()) + 1
    seen = np.zeros((people, int(condition.max()) + 1), dtype=bool)
    seen[person, condition] = True
    several = seen.sum(axis=1) > 1
    if not several.any():
        ratings = np.bincount(person)[:, None]
        sums = np.zeros((people, values.shape[1]))
        np.add.at(sums, person, values)
        centred = sums / ratings - (sums / ratings).mean(axis=0)
        scheme: Scheme = "between participants"
        return Blocks(centred[None], seen.argmax(axis=1)[None], scheme, people, len(values))
    kept = np.flatnonzero(several[person])
    kept = kept[np.argsort(person[kept], kind="stable")]
    _, block, counts = np.unique(person[kept], return_inverse=True, return_counts=True)
    within = np.arange(len(kept)) - np.repeat(counts.cumsum() - counts, counts)
    padded = np.zeros((len(counts), counts.max(), values.shape[1]))
    padded[block, within] = values[kept]
    means = padded.sum(axis=1) / counts[:, None]
    padded[block, within] -= means[block]
    conditions = np.full(padded.shape[:2], -1)
    conditions[block, within] = np.unique(condition[kept], return_inverse=True)[1]
    return Blocks(padded, conditions, "within participants", len(counts), len(kept))


def _statistics(blocks: Blocks, condition: Indices, sizes: Indices) -> Numbers:
    """Return the statistic of arrangements, ``(arrangements, outcomes)``.

    Args:
        blocks: The ratings.
        condition: Arrangements of conditions, shape ``(arrangements, blocks, size)``.
        sizes: Ratings of each condition.
    """
    values = blocks.values.reshape(-1, blocks.values.shape[2])
    flat = condition.reshape(len(condition), -1)
    sums = np.array([(flat == number).astype(float) @ values for number in range(len(sizes))])
    return np.asarray((sums**2 / sizes[:, None, None]).sum(axis=0))


def _drawn(blocks: Blocks, sizes: Indices, rng: np.random.Generator) -> Numbers:
    """Return the statistic of drawn arrangements, ``(draws, outcomes)``."""
    shape = blocks.condition.shape
    filler = blocks.condition < 0
    at_once = max(1, AT_ONCE // filler.size)
    parts = []
    for start in range(0, DRAWS, at_once):
        keys = rng.random((min(at_once, DRAWS - start), *shape))
        keys[:, filler] = 2.0  # fillers stay last
        order = np.argsort(keys, axis=2)
        shuffled = np.take_along_axis(blocks.condition[None], order, axis=2)
        parts.append(_statistics(blocks, shuffled, sizes))
    return np.concatenate(parts)
