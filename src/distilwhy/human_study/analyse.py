"""All of a study's analysis: reads ratings, and gives every number under stable keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from distilwhy.human_study.paper import Description, PaperTests, describe, paper_tests
from distilwhy.human_study.ratings import CONSTRUCTS, read_ratings
from distilwhy.human_study.robust import Robust, robust
from distilwhy.records import Record

Mode = Literal["paper", "robust", "both"]

LEAST = 0.25
"""Least difference of interest, in points of the scale, where none is given."""


class StudyAnalysis(Record):
    """What the ratings of a study say.

    Args:
        mode: Which analyses were asked for.
        n: Rows, i.e. rated explanations.
        participants: Participants.
        conditions: Conditions in the order of all tables.
        notes: What a reader must know of the ratings file.
        described: Means, Cronbach's alpha, correlations.
        paper: The paper's tests; ``None`` where they were not asked for.
        robust: The robust analysis; ``None`` where it was not asked for.
    """

    mode: Mode
    n: int
    participants: int
    conditions: tuple[str, ...]
    notes: tuple[str, ...]
    described: Description
    paper: PaperTests | None = None
    robust: Robust | None = None

    def figures(self) -> dict[str, Any]:
        """Return every number, unrounded, as JSON takes it.

        The paper's analysis stands at the top (``means``, ``alpha``, ``correlations``, ``shapiro``,
        ``levene``, ``kruskal``, ``dunn``, ``vda``, ``npmv``, ``ols``, ``ols_demographics``), the
        robust one under ``robust``. A figure that cannot be had is null beside its ``reason``.
        """
        told: dict[str, Any] = {
            "mode": self.mode,
            "n": self.n,
            "participants": self.participants,
            "conditions": list(self.conditions),
            "constructs": list(CONSTRUCTS),
            "notes": list(self.notes),
            **self.described.model_dump(mode="json"),
        }
        if self.paper is not None:
            told |= self.paper.model_dump(mode="json")
        if self.robust is not None:
            told["robust"] = self.robust.model_dump(mode="json")
        return told


def analyse(
    path: Path, mode: Mode = "both", *, seed: int = 0, least: float = LEAST
) -> StudyAnalysis:
    """Analyse the ratings of a study.

    Args:
        path: The ratings, see :func:`~distilwhy.human_study.ratings.read_ratings`.
        mode: ``paper`` (rank tests, regression; rows count as independent), ``robust``
            (participants are kept apart) or ``both``.
        seed: Seed of all draws.
        least: Least difference of interest, in points of the scale, above 0; for the next study.

    Raises:
        DataError: When the table cannot be read or used.
    """
    ratings = read_ratings(path)
    return StudyAnalysis(
        mode=mode,
        n=len(ratings.condition),
        participants=len(ratings.participants),
        conditions=ratings.conditions,
        notes=ratings.notes,
        described=describe(ratings),
        paper=None if mode == "robust" else paper_tests(ratings),
        robust=None if mode == "paper" else robust(ratings, seed, least),
    )
