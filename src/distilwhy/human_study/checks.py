"""What to look at before any test: missing ratings, and participants who do not vary."""

from __future__ import annotations

import numpy as np

from distilwhy.human_study.ratings import CONSTRUCTS, Mask, Ratings
from distilwhy.records import Record

FEWEST_ROWS = 3
"""Rated explanations from which on a participant who never varies is flagged."""


class Missing(Record):
    """Missing ratings.

    Args:
        rows: Rows, i.e. rated explanations.
        whole: Rows with all five constructs rated.
        by_construct: Missing ratings by construct.
        by_condition: Missing ratings by condition.
        participants: Participants with a missing rating.
        fewest_rows: Fewest rows of a participant.
        most_rows: Most rows of a participant.
    """

    rows: int
    whole: int
    by_construct: dict[str, int]
    by_condition: dict[str, int]
    participants: int
    fewest_rows: int
    most_rows: int


class StraightLining(Record):
    """Ratings that do not vary.

    Args:
        rows: Whole rows whose five ratings are equal.
        share: Their share of whole rows; ``None`` where no row is whole.
        by_condition: Their share by condition; ``None`` where no row is whole.
        participants: Participants who gave one and the same rating throughout, in three rows or
            more.
    """

    rows: int
    share: float | None
    by_condition: dict[str, float | None]
    participants: list[str]


def missing(ratings: Ratings) -> Missing:
    """Count missing ratings."""
    gaps = np.isnan(ratings.values)
    rows = np.bincount(ratings.participant)
    return Missing(
        rows=len(gaps),
        whole=int((~gaps.any(axis=1)).sum()),
        by_construct=dict(zip(CONSTRUCTS, gaps.sum(axis=0).tolist(), strict=True)),
        by_condition={
            label: int(gaps[ratings.condition == number].sum())
            for number, label in enumerate(ratings.conditions)
        },
        participants=len(np.unique(ratings.participant[gaps.any(axis=1)])),
        fewest_rows=int(rows.min()),
        most_rows=int(rows.max()),
    )


def straight_lining(ratings: Ratings) -> StraightLining:
    """Find rows and participants whose ratings do not vary."""
    whole = ~np.isnan(ratings.values).any(axis=1)
    straight = whole & (np.ptp(ratings.values, axis=1) == 0)

    def share(rows: Mask) -> float | None:
        count = int((whole & rows).sum())
        return int((straight & rows).sum()) / count if count else None

    flagged = []
    for number, name in enumerate(ratings.participants):
        values = ratings.values[ratings.participant == number]
        known = values[~np.isnan(values)]
        if len(values) >= FEWEST_ROWS and len(known) and np.ptp(known) == 0:
            flagged.append(name)
    return StraightLining(
        rows=int(straight.sum()),
        share=share(np.full(len(ratings.values), True)),
        by_condition={
            label: share(ratings.condition == number)
            for number, label in enumerate(ratings.conditions)
        },
        participants=flagged,
    )
