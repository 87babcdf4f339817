"""A measure: a scorer judges each item, a metric summarises all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import Field

from distilwhy.explainability.subject import Subject, check_given
from distilwhy.records import Record
from distilwhy.registry import Registry

Score = bool | int | float | str | None
Detail = bool | int | float | str | None


class Figure(Record):
    """One summarised figure.

    Args:
        value: The figure; ``None`` where it is not applicable.
        n: Items that it is over.
        ci_low: Lower end of its 95 % interval; ``None`` where there is none.
        ci_high: Its upper end.
        reason: Why there is no value; ``None`` where there is one.
    """

    value: float | None
    n: int = Field(ge=0)
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None


class ItemScores(Record):
    """What a measure found in one item.

    Args:
        example_id: The example.
        scores: Scores by name; ``None`` where one does not apply to this item.
        flags: What a reader should look at, e.g. ``leaking``, ``inconsistent``.
    """

    example_id: str
    scores: dict[str, Score] = Field(default_factory=dict)
    flags: tuple[str, ...] = ()


class MeasureResult(Record):
    """All that a measure found.

    Args:
        measure: The measure's name.
        figures: Figures by name.
        details: Sizes of groups, settings and models used, by name.
        items: Scores of each item that could be judged, in the predictions' order.
        reason: Why the measure does not apply to this predictor; figures are empty then.
    """

    measure: str
    figures: dict[str, Figure] = Field(default_factory=dict)
    details: dict[str, Detail] = Field(default_factory=dict)
    items: tuple[ItemScores, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Scored:
    """What a scorer found.

    Args:
        items: Scores of each item that could be judged, in the predictions' order.
        details: Sizes of groups, settings and models used, by name.
    """

    items: Sequence[ItemScores]
    details: Mapping[str, Detail] = field(default_factory=dict)


class Measure(Protocol):
    """What judges explanations."""

    needs: tuple[str, ...]
    """What a subject must have beside predictions: ``student``, ``scorer``, ``judge``,
    ``references``; ``scorer|judge`` is one of the two. Two more attributes may be there: ``uses``,
    what is given to it as well where there is some (``references``, ``ratings``), and ``wording``,
    a hash of its words, with which it is made anew when they change."""

    def score(self, subject: Subject) -> Scored:
        """Judge each item; items that cannot be judged are left out.

        All items come at once, so that models are asked in batches; an item's scores depend on
        that item alone.

        Raises:
            NotApplicableError: When the measure says nothing of such a predictor.
        """
        ...

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """Return the figures over all items; of no items as well, with a reason.

        Args:
            items: What :meth:`score` returned.
            seed: Seed of bootstrap intervals.
        """
        ...


def reads_question(name: str) -> bool:
    """Return whether a measure looks at more than the texts and choices: all do that do not say so.

    Raises:
        ConfigError: When there is no such measure.
    """
    return bool(getattr(MEASURES.get(name), "reads_question", True))


class NotApplicableError(Exception):
    """A measure says nothing of this predictor; the message is the reason, one sentence."""


MEASURES: Registry[Measure] = Registry("measure")
"""Measures by name; packages add theirs as entry points of the group ``distilwhy.measures``."""


def measure(name: str, subject: Subject) -> MeasureResult:
    """Judge a predictor's explanations by one measure.

    Args:
        name: The measure's name.
        subject: The predictions and what may be asked.

    Returns:
        Its figures and items; a reason instead, where the measure says nothing of the predictor.

    Raises:
        ConfigError: When there is no such measure, or the subject lacks what it needs.
    """
    found = MEASURES.get(name)
    check_given(found.needs, subject.given, name)
    try:
        scored = found.score(subject)
    except NotApplicableError as error:
        return MeasureResult(measure=name, reason=str(error))
    return MeasureResult(
        measure=name,
        figures=dict(found.summarise(scored.items, subject.seed)),
        details=dict(scored.details),
        items=tuple(scored.items),
    )
