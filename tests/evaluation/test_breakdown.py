"""Accuracy by kind of question, and the lean of wrong answers to a position."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import chisquare

from distilwhy.evaluation.breakdown import breakdowns, position_bias, question_word
from distilwhy.evaluation.evaluate import evaluate
from distilwhy.records import Example, Prediction


def prediction(number: int, question: str, place: int, gold: int = 0, width: int = 4) -> Prediction:
    choices = tuple(f"thing {number} {letter}" for letter in "abcdefgh"[:width])
    example = Example(id=f"q{number}", question=question, choices=choices, answer=choices[gold])
    return Prediction(example=example, answer=choices[place], answer_text=choices[place])


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What do cows eat?", "what"),
        ("If it rains, where do you go?", "where"),
        ("Whose boat is it?", "whose"),
        ("She went somewhere to", "other"),
        ("WHICH one?", "which"),
    ],
)
def test_question_words(question: str, word: str) -> None:
    example = Example(id="q", question=question, choices=("a", "b"), answer="a")
    assert question_word(example) == word


def test_groups_count_by_hand() -> None:
    asked = [
        prediction(0, "What is it?", 0),
        prediction(1, "What is it now and then?", 1),
        prediction(2, "Where is it that the two of them went?", 2, gold=2),
    ]
    found = breakdowns(asked)
    assert {k: (g.n, g.accuracy) for k, g in found["question word"].items()} == {
        "what": (2, 0.5),
        "where": (1, 1.0),
    }
    assert {k: (g.n, g.accuracy) for k, g in found["length"].items()} == {
        "short": (1, 1.0),
        "middle": (1, 0.0),
        "long": (1, 1.0),
    }
    assert {k: g.n for k, g in found["answer position"].items()} == {"a": 2, "c": 1}
    assert list(found["length"]) == ["short", "middle", "long"]


def test_fixed_labels_have_no_positions() -> None:
    asked = [
        Prediction(
            example=Example(id=f"q{n}", question="Is it?", choices=("yes", "no"), answer="yes"),
            answer="no",
        )
        for n in range(5)
    ]
    assert "answer position" not in breakdowns(asked)
    assert position_bias(asked) is None
    assert evaluate(asked).position_bias is None


def test_errors_at_one_position_are_a_bias() -> None:
    # 60 wrong answers, all the first choice, the right one anywhere else.
    asked = [prediction(n, "What?", 0, gold=1 + n % 3) for n in range(60)]
    found = position_bias(asked)
    assert found is not None
    assert found.answered == {"a": 60, "b": 0, "c": 0, "d": 0}
    # The first is always open, each other in two of three questions.
    assert found.expected == pytest.approx({"a": 20, "b": 40 / 3, "c": 40 / 3, "d": 40 / 3})
    assert found.p < 0.001


def test_right_answers_at_one_position_are_none() -> None:
    right = [prediction(n, "What?", 0, gold=0) for n in range(200)]
    assert position_bias(right) is None
    spread = [prediction(300 + n, "What?", 1 + n % 3, gold=0) for n in range(60)]
    found = position_bias(right + spread)
    assert found is not None
    assert found.n == 60
    assert found.p == 1.0


def test_p_agrees_with_chi_squared_where_it_holds() -> None:
    # With the right choice always last, wrong positions are three and equally open.
    counts = (90, 70, 80)
    asked = [
        prediction(100 * place + n, "What?", place, gold=3)
        for place, count in enumerate(counts)
        for n in range(count)
    ]
    found = position_bias(asked)
    assert found is not None
    assert found.p == pytest.approx(chisquare(counts).pvalue, abs=0.02)


def test_p_is_nominal_without_a_lean() -> None:
    found = []
    for seed in range(60):
        generator = random.Random(seed)
        asked = [
            prediction(n, "What?", generator.choice([c for c in range(4) if c != n % 4]), n % 4)
            for n in range(40)
        ]
        bias = position_bias(asked, seed)
        assert bias is not None
        found.append(bias.p)
    assert 0.35 < np.mean(found) < 0.65
    assert sum(p < 0.05 for p in found) <= 8, "3 of 60 are expected"


def test_they_are_among_the_metrics() -> None:
    metrics = evaluate([prediction(n, f"Where is {n}?", n % 4) for n in range(8)])
    assert metrics.breakdowns["question word"]["where"].accuracy == 0.25
    assert metrics.position_bias is not None
    assert metrics.position_bias.n == 6


def test_questions_that_are_not_known_are_not_told_apart() -> None:
    same = [prediction(n, "(not in the file)", n % 4) for n in range(8)]
    assert list(breakdowns(same)) == ["answer position"]
