"""Figures of explanations, counted by hand."""

from __future__ import annotations

import statistics

import pytest

from distilwhy.evaluation.explanations import explanation_metrics, score_explanation
from distilwhy.records import Example, Prediction

TREES = Example(
    id="1", question="Which tree bears acorns?", choices=("oak", "elm", "ash", "elm"), answer="oak"
)


def explained(rationale, answer="oak", example=TREES) -> Prediction:
    return Prediction(example=example, answer=answer, rationale=rationale)


@pytest.mark.parametrize("rationale", [None, "", " \n\t"])
def test_no_explanation_has_no_scores(rationale):
    assert score_explanation(explained(rationale)) is None
    assert explanation_metrics([explained(rationale)]) is None


def test_words_and_distinct_distractors():
    scores = score_explanation(explained("An oak bears acorns;\nan elm, the elm or an ash do not."))
    assert scores.words == 13
    # The right choice is no distractor; elm stands twice in the choices and in the text.
    assert scores.distractors == 2


def test_part_of_a_word_is_not_a_mention():
    assert score_explanation(explained("They overwhelm the soil.")).distractors == 0


def test_choices_that_differ_in_case_only_are_one():
    example = Example(id="1", question="?", choices=("Oak", "oak", "Elm", "elm"), answer="Oak")
    scores = score_explanation(explained("Not the elm but the oak.", "Oak", example))
    assert scores.distractors == 1


@pytest.mark.parametrize(
    ("rationale", "answer", "stated", "other"),
    [
        ("Acorns grow there. The answer is oak.", "oak", "oak", False),
        ("Acorns grow there. The answer is elm.", "oak", "elm", True),
        ("Acorns grow on trees such as the elm.", "oak", None, False),
        ("Acorns grow there. The answer is elm.", None, "elm", False),
        # What counts is the predictor's own answer, not the right one.
        ("Acorns grow there. The answer is elm.", "elm", "elm", False),
        ("Acorns grow there. The answer is oak.", "elm", "oak", True),
    ],
)
def test_stated_answers(rationale, answer, stated, other):
    scores = score_explanation(explained(rationale, answer))
    assert (scores.stated, scores.states_other) == (stated, other)


def test_summary():
    texts = [
        "An oak bears acorns, an elm does not. The answer is oak.",
        "The answer is elm.",
        "Trees bear fruit.",
        "",
        None,
    ]
    metrics = explanation_metrics([explained(text) for text in texts])
    lengths = [12, 4, 3]
    assert metrics.n == 3
    assert metrics.words_mean == pytest.approx(statistics.mean(lengths))
    assert metrics.words_sd == pytest.approx(statistics.stdev(lengths))
    assert metrics.distractor_mentions == pytest.approx(2 / 3)
    assert metrics.states_answer == pytest.approx(2 / 3)
    assert metrics.states_other_answer == pytest.approx(1 / 3)


def test_one_explanation_has_no_spread():
    assert explanation_metrics([explained("Oaks do.")]).words_sd == 0.0


def test_unknown_choices_leave_only_lengths():
    metrics = explanation_metrics([explained("The answer is elm.")], choices_known=False)
    assert metrics.words_mean == 4
    assert metrics.distractor_mentions is None
    assert metrics.states_answer is None
    assert metrics.states_other_answer is None
