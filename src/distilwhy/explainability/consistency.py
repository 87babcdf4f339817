"""Rationale-answer consistency: does what a rationale says imply its predictor's own answer?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distilwhy.explainability.figures import mean_of, share_of
from distilwhy.explainability.measures import (
    MEASURES,
    Figure,
    ItemScores,
    NotApplicableError,
    Scored,
)
from distilwhy.explainability.reader import (
    SHOTS,
    UNREAD,
    Reading,
    expected_answers,
    judged_answers,
)
from distilwhy.explainability.subject import Subject
from distilwhy.judging.judge import as_judge
from distilwhy.records import LETTERS, Example, Prediction
from distilwhy.tasks.words import hide

MASK = "___"

Read = Callable[[Subject, Sequence[Reading]], list[str | None]]


class Consistency:
    """A reader names the answer that a rationale leads to; it should be the predictor's own.

    Args:
        need: Whom it asks, ``scorer`` or ``judge``.
        read: How.
    """

    def __init__(self, need: str, read: Read) -> None:
        self.needs: tuple[str, ...] = (need,)
        self._read = read

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        judged = answered(subject)
        forms = [_readings(prediction) for prediction in judged]
        found = iter(self._read(subject, [reading for form in forms for reading in form.values()]))
        items = []
        for prediction, form in zip(judged, forms, strict=True):
            implied = {name: _is_own(next(found), prediction) for name in form}
            items.append(_item(prediction, implied))
        asked: Any = getattr(subject, self.needs[0])
        left_out = len(subject.explained) - len(judged)
        return Scored(items, {"reader": asked.name, "shots": SHOTS, "without_answer": left_out})

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        shares = {name: share_of(items, name, seed) for name in ("hidden", "shown", "masked")}
        return shares | {
            "question_alone": share_of(items, "question_alone", seed),
            "added": mean_of(items, "added", seed),
            "chance": mean_of(items, "chance", seed),
        }


def answered(subject: Subject) -> list[Prediction]:
    """Return the explained predictions whose answer is readable.

    Raises:
        NotApplicableError: When there are none.
    """
    if not subject.explained:
        raise NotApplicableError("it gives no explanation")
    found = [prediction for prediction in subject.explained if prediction.answer is not None]
    if not found:
        raise NotApplicableError("none of its explained answers names a choice")
    return found


def masked(rationale: str, example: Example) -> str:
    """Return a rationale with a mask for every choice that it names, by text or by letter.

    Args:
        rationale: The rationale.
        example: Its example; all choices are hidden, so that none is told by being the only one.
    """
    letters = LETTERS[: len(example.choices)]
    named = (
        rf"\([{letters}]\)|\b(?:(?<=answer is )|(?<=option )|(?<=choice ))[{letters}](?=[.,;]|$)"
    )
    return re.sub(named, MASK, hide(rationale, example.choices, MASK), flags=re.IGNORECASE)


def _readings(prediction: Prediction) -> dict[str, Reading]:
    example, rationale = prediction.example, prediction.rationale or ""
    return {
        "question_alone": Reading(example),
        "hidden": Reading(example, question=False, rationale=rationale),
        "shown": Reading(example, rationale=rationale),
        "masked": Reading(example, question=False, rationale=masked(rationale, example)),
    }


def _is_own(answer: str | None, prediction: Prediction) -> bool | None:
    return None if answer == UNREAD else answer == prediction.answer


def _item(prediction: Prediction, implied: Mapping[str, bool | None]) -> ItemScores:
    before, after = implied["question_alone"], implied["shown"]
    added = None if before is None or after is None else int(after) - int(before)
    chance = 1 / len(set(prediction.example.choices))
    return ItemScores(
        example_id=prediction.example.id,
        scores={**implied, "added": added, "chance": chance},
        flags=("inconsistent",) if implied["hidden"] is False else (),
    )


def _by_scorer(subject: Subject, readings: Sequence[Reading]) -> list[str | None]:
    assert subject.scorer is not None  # it is needed
    return expected_answers(subject.scorer, readings)


def _by_judge(subject: Subject, readings: Sequence[Reading]) -> list[str | None]:
    assert subject.judge is not None  # it is needed
    return judged_answers(as_judge(subject.judge, subject.seed), readings)


MEASURES.add("consistency", Consistency("scorer", _by_scorer))
MEASURES.add("consistency_judge", Consistency("judge", _by_judge))
