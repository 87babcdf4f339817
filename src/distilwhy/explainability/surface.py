"""Surface figures: what the text of an explanation looks like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from distilwhy.evaluation.explanations import score_explanation
from distilwhy.explainability.figures import mean_of, share_of
from distilwhy.explainability.measures import (
    MEASURES,
    Figure,
    ItemScores,
    NotApplicableError,
    Scored,
)
from distilwhy.explainability.subject import Subject
from distilwhy.records import Prediction
from distilwhy.tasks.answers import normalise
from distilwhy.tasks.words import words

NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|nothing|nobody|nowhere|cannot|without)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
NGRAM = 4


class Surface:
    """Length, choices named, negations, answers stated, repetition. Costs no model."""

    needs: tuple[str, ...] = ()
    reads_question = False

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        if not subject.explained:
            raise NotApplicableError("the predictor gives no explanation")
        return Scored([_score(prediction) for prediction in subject.explained])

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        return {
            "words": mean_of(items, "words", seed),
            "distractors": mean_of(items, "distractors", seed),
            "negations": mean_of(items, "negations", seed),
            "repetition": mean_of(items, "repetition", seed),
            "states_answer": share_of(items, "states_answer", seed),
            "states_own_answer": share_of(items, "states_own", seed, "none states an answer"),
        }


def repetition(text: str) -> float:
    """Return the share of a text's four-word sequences that stood in it before, from 0 to 1."""
    spoken = words(normalise(text))
    grams = [tuple(spoken[place : place + NGRAM]) for place in range(len(spoken) - NGRAM + 1)]
    return 1 - len(Counter(grams)) / len(grams) if grams else 0.0


def _score(prediction: Prediction) -> ItemScores:
    found, text = score_explanation(prediction), prediction.rationale or ""
    assert found is not None  # the explanation is not empty
    states = found.stated is not None
    known = states and prediction.answer is not None
    return ItemScores(
        example_id=prediction.example.id,
        scores={
            "words": found.words,
            "distractors": found.distractors,
            "negations": len(NEGATION.findall(text)),
            "repetition": repetition(text),
            "states_answer": states,
            "states_own": not found.states_other if known else None,
        },
        flags=("states another answer",) if found.states_other else (),
    )


MEASURES.add("surface", Surface())
