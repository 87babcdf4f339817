"""What measures ask a student, and how they read its answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from distilwhy.explainability.measures import NotApplicableError
from distilwhy.explainability.subject import Student, Subject
from distilwhy.records import Example, Prediction


def student_of(subject: Subject) -> Student:
    """Return the subject's student, which a measure that needs one may take to be there."""
    assert subject.student is not None  # Subject.check_has
    return subject.student


def student_read_by_rationale(subject: Subject) -> Student:
    """Return the student, where what stands in its rationale can reach its answer.

    Raises:
        NotApplicableError: When it answers in a pass of its own and no probe is asked for.
    """
    student = student_of(subject)
    if not student.answers_after_rationale and not subject.probe:
        raise NotApplicableError(
            "The student answers in a pass of its own, which its rationale does not reach; the "
            "rationale-conditioned probe asks it all the same."
        )
    return student


def ask_in_groups(student: Student, groups: Sequence[Sequence[Example]]) -> list[list[Prediction]]:
    """Return a student's predictions of several groups of examples, asked as one batch."""
    answers = iter(student.predict([example for group in groups for example in group]))
    return [list(islice(answers, len(group))) for group in groups]


def answers_behind(
    student: Student, groups: Sequence[tuple[Example, Sequence[str]]]
) -> list[list[str | None]]:
    """Return what a student answers behind given rationales: its likeliest choice for each.

    Args:
        student: The student.
        groups: Each an example with the rationales that stand before or behind its answer.

    Returns:
        One list a group, one answer a rationale; see :func:`likeliest`.
    """
    examples = [example for example, texts in groups for _ in texts]
    rationales = [text for _, texts in groups for text in texts]
    found = student.choice_likelihoods(examples, rationales) if examples else []
    answers = iter(
        likeliest(example.choices, likelihoods)
        for example, likelihoods in zip(examples, found, strict=True)
    )
    return [list(islice(answers, len(texts))) for _, texts in groups]


def own_answers(student: Student, explained: Sequence[Prediction]) -> list[str | None]:
    """Return what a student answers behind its own rationales, read as behind any other.

    Args:
        student: The student.
        explained: Its predictions, each with a rationale.
    """
    groups = [(prediction.example, [prediction.rationale or ""]) for prediction in explained]
    return [answer for (answer,) in answers_behind(student, groups)]


def likeliest(choices: Sequence[str], likelihoods: Sequence[float]) -> str | None:
    """Return the likeliest choice; ``None`` where different choices share the first place.

    Args:
        choices: The choices as shown; equal texts are one choice.
        likelihoods: Their log-likelihoods in nats.
    """
    if any(math.isnan(value) for value in likelihoods):
        return None
    best = max(likelihoods)
    found = {
        choice
        for choice, value in zip(choices, likelihoods, strict=True)
        if math.isclose(value, best, rel_tol=1e-9)
    }
    return found.pop() if len(found) == 1 else None
