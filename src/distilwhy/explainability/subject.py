"""What measures judge: a predictor's predictions, and whoever can be asked about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from distilwhy.errors import ConfigError
from distilwhy.generators.base import Generator, Scorer
from distilwhy.judging.people import HumanRating
from distilwhy.records import Annotation, DataKind, Example, Prediction, Tags

EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"

HOW_TO_GIVE = {
    "student": ("the student itself", "Name its folder with --student."),
    "scorer": ("a scorer model", "Name one as scorer, e.g. 'embedded'."),
    "judge": ("a judge", "Name a model as judge."),
    "references": (
        "the teacher's texts of the same questions",
        "Give an annotations file of them as references.",
    ),
}


class Student(Protocol):
    """A student that can be asked again."""

    name: str

    @property
    def answers_after_rationale(self) -> bool:
        """Whether its answer follows its own rationale in one text (``[factual]``).

        Others answer in a pass of its own, which their rationale does not reach.
        """
        ...

    def predict(self, examples: Sequence[Example], tags: Tags = "learnt") -> list[Prediction]:
        """Return its answers and rationales to examples, which need not be of the test split.

        Args:
            examples: The examples, changed as a measure wants them.
            tags: By which tags it is asked.
        """
        ...

    def choice_likelihoods(
        self, examples: Sequence[Example], rationales: Sequence[str] | None = None
    ) -> list[tuple[float, ...]]:
        """Return the log-likelihood (nats) of each choice as the answer, in the choices' order.

        Args:
            examples: The examples.
            rationales: Where given, each stands in place of the student's own: before the answer,
                where it answers after a rationale; else behind the question (the
                rationale-conditioned probe).
        """
        ...


@dataclass(frozen=True)
class Subject:
    """One predictor's explanations and what measures may ask about them.

    Args:
        predictions: Its predictions.
        student: The student, where it can be asked again.
        base: Model string of what the student was trained from, where that is known.
        scorer: A model that tells how likely a text is.
        judge: A model that rates explanations; a :class:`distilwhy.judging.judge.Judge` keeps its
            texts and its budget.
        references: By example id, what the teacher said of the same questions.
        ratings: What people said of explanations, these among them.
        data: Which of the teacher's explanations the predictor learnt from, or is held against.
        embedder: Model of sentence-transformers, a name or a folder, that tells whether texts mean
            the same.
        probe: Whether students that answer in a pass of its own are asked to answer behind a
            rationale all the same.
        seed: Seed of all draws and intervals.
    """

    predictions: Sequence[Prediction]
    student: Student | None = None
    scorer: Scorer | None = None
    judge: Generator | None = None
    references: Mapping[str, Annotation] = field(default_factory=dict)
    ratings: Sequence[HumanRating] = ()
    data: DataKind = "unrevised"
    embedder: str = EMBEDDER
    probe: bool = False
    seed: int = 0
    base: str | None = None

    @property
    def given(self) -> list[str]:
        """Of whom and what measures may need, what there is."""
        return [name for name in HOW_TO_GIVE if getattr(self, name)]

    @property
    def explained(self) -> list[Prediction]:
        """The predictions with an explanation that is not empty."""
        return [p for p in self.predictions if p.rationale and p.rationale.strip()]


def alternatives(need: str) -> list[str]:
    """Return the ways in which a measure's need can be met: ``scorer|judge`` is either."""
    return need.split("|")


def check_given(needs: Sequence[str], given: Sequence[str], measure: str) -> None:
    """Refuse a measure that lacks what it needs.

    Args:
        needs: What it needs.
        given: What there is.
        measure: Its name.

    Raises:
        ConfigError: Naming what is missing and how it is given.
    """
    for need in needs:
        ways = alternatives(need)
        if not set(ways) & set(given):
            what = " or ".join(HOW_TO_GIVE[way][0] for way in ways)
            remedy = " Or: ".join(HOW_TO_GIVE[way][1] for way in ways)
            raise ConfigError(f"The measure {measure!r} needs {what}.", remedy)
