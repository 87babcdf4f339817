"""Surface figures of explanations."""

from __future__ import annotations

import pytest

from distilwhy.explainability.measures import measure
from distilwhy.explainability.subject import Subject
from distilwhy.explainability.surface import repetition
from distilwhy.records import Example, Prediction

EXAMPLE = Example(
    id="a", question="Where is money kept?", choices=("bank", "river", "park"), answer="bank"
)


def said(text: str | None, answer: str | None = "bank") -> Prediction:
    return Prediction(example=EXAMPLE, answer=answer, answer_text="", rationale=text)


def scores(prediction: Prediction) -> dict[str, object]:
    return measure("surface", Subject([prediction])).items[0].scores


def test_counts_of_one_text() -> None:
    found = scores(said("A river is not safe, and a park isn't either. The answer is bank."))
    assert found == {
        "words": 14,
        "distractors": 2,
        "negations": 2,
        "repetition": 0.0,
        "states_answer": True,
        "states_own": True,
    }


def test_a_text_that_contradicts_the_answer_is_flagged() -> None:
    item = measure("surface", Subject([said("So the answer is river.")])).items[0]
    assert item.scores["states_own"] is False
    assert item.flags == ("states another answer",)


def test_own_answer_needs_a_statement_and_an_answer() -> None:
    assert scores(said("Money is safe there."))["states_own"] is None
    assert scores(said("The answer is bank.", answer=None))["states_own"] is None


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("one two three four", 0.0),
        ("one two three", 0.0),
        # Eight words, five sequences of four; the fifth repeats the first.
        ("one two three four one two three four", 0.2),
        ("no no no no no no no no", 0.8),
    ],
)
def test_repetition(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)


def test_texts_that_are_empty_do_not_count() -> None:
    result = measure("surface", Subject([said("Because of this."), said(" "), said(None)]))
    assert result.figures["words"].n == 1
    assert result.figures["words"].value == 3
    assert result.figures["states_own_answer"].reason == "none states an answer"


def test_no_explanation_at_all_is_not_applicable() -> None:
    result = measure("surface", Subject([said(None)]))
    assert result.reason == "the predictor gives no explanation"
    assert not result.figures
