"""Test questions that training questions (nearly) repeat."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.evaluation.breakdown import group
from distilwhy.evaluation.metrics import Group
from distilwhy.records import Example, Prediction, Record
from distilwhy.tasks.duplicates import NearDuplicates

THRESHOLD = 0.7


class Repeated(Record):
    """A test question that a training question nearly repeats.

    Args:
        test: Its id.
        training: Id of the most similar training question.
        similarity: Shared words by all words of both, from 0 to 1.
    """

    test: str
    training: str
    similarity: float


class Contamination(Record):
    """How many test questions training nearly repeats, and what that does to the accuracy.

    Args:
        threshold: Questions at least so similar count.
        repeated: The test questions, most similar first.
        on_repeated: Accuracy on them; ``None`` where there are none.
        on_others: Accuracy on the others; ``None`` where there are none.
    """

    threshold: float
    repeated: tuple[Repeated, ...]
    on_repeated: Group | None = None
    on_others: Group | None = None


def contamination(
    predictions: Sequence[Prediction],
    training: Sequence[Example],
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> Contamination:
    """Look for test questions that training questions nearly repeat.

    Questions are compared by their words (:func:`distilwhy.tasks.duplicates.similarity`), choices
    left out; all pairs are.

    Args:
        predictions: Scored predictions of the test questions.
        training: The training questions.
        threshold: Similarity from which a question counts, above 0 to 1.
        seed: Seed of the bootstrap.
    """
    known = NearDuplicates(threshold)
    known.add(training, "training")
    twins = known.twins([prediction.example for prediction in predictions])
    pairs = list(zip(predictions, twins, strict=True))
    repeated = [
        Repeated(test=p.example.id, training=twin.example, similarity=twin.similarity)
        for p, twin in pairs
        if twin is not None
    ]
    right = {
        near: [p.correct for p, twin in pairs if (twin is not None) is near]
        for near in (True, False)
    }
    return Contamination(
        threshold=threshold,
        repeated=tuple(sorted(repeated, key=lambda found: -found.similarity)),
        on_repeated=group(right[True], seed) if right[True] else None,
        on_others=group(right[False], seed) if right[False] else None,
    )
