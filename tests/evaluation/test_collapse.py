"""Constant answers are told, good predictors of lopsided tasks are not."""

from __future__ import annotations

import random

import pytest

from distilwhy.evaluation.collapse import constant_answers
from distilwhy.evaluation.evaluate import evaluate
from distilwhy.records import Example, Prediction


def answered(
    answers: list[str | None], gold: list[str], choices: list[tuple[str, ...]]
) -> list[Prediction]:
    return [
        Prediction(
            example=Example(id=str(n), question=f"Question {n}?", choices=listed, answer=right),
            answer=answer,
            answer_text=answer or "who knows",
        )
        for n, (answer, right, listed) in enumerate(zip(answers, gold, choices, strict=True))
    ]


def shuffled(n: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Return the choices of n questions, each five of nine words."""
    words = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis")
    draw = random.Random(seed)
    return [tuple(draw.sample(words, 5)) for _ in range(n)]


def test_one_position_whatever_is_asked() -> None:
    choices = shuffled(60)
    gold = [listed[n % 5] for n, listed in enumerate(choices)]
    answers: list[str | None] = [listed[1] for listed in choices]
    answers[7] = choices[7][3]
    told = constant_answers(answered(answers, gold, choices))
    assert told == ("59 of 60 answers are choice b",)
    assert evaluate(answered(answers, gold, choices)).collapsed == told


def test_one_text_whatever_is_asked() -> None:
    choices = []
    for number, listed in enumerate(shuffled(60)):
        others = [word for word in listed if word != "ant"][:4]
        choices.append(("ant", *others) if number % 2 else (*others, "ant"))
    gold = [listed[n % len(listed)] for n, listed in enumerate(choices)]
    told = constant_answers(answered(["ant"] * 60, gold, choices))
    assert told == ("60 of 60 answers are 'ant'",)


def test_one_label_of_two() -> None:
    choices = [("yes", "no")] * 40
    gold = ["yes", "no"] * 20
    assert constant_answers(answered(["no"] * 40, gold, choices)) == ("40 of 40 answers are 'no'",)


def test_no_answer_at_all() -> None:
    choices = shuffled(40)
    gold = [listed[0] for listed in choices]
    answers: list[str | None] = [None] * 39 + [choices[-1][0]]
    assert constant_answers(answered(answers, gold, choices)) == (
        "39 of 40 answers name no choice",
    )


@pytest.mark.parametrize("n", [3, 5, 8])
def test_few_questions_tell_nothing(n: int) -> None:
    gold = ["yes", "no"] * n
    assert constant_answers(answered(["yes"] * n, gold[:n], [("yes", "no")] * n)) == ()


def test_sound_predictors_are_left_alone() -> None:
    # 97 % right where 96 of 100 answers are the same.
    gold = ["no"] * 96 + ["yes"] * 4
    answers: list[str | None] = ["no"] * 97 + ["yes"] * 3
    assert constant_answers(answered(answers, gold, [("yes", "no")] * 100)) == ()
    # Guesses among five.
    choices, draw = shuffled(200, 1), random.Random(2)
    gold = [draw.choice(listed) for listed in choices]
    guesses: list[str | None] = [draw.choice(listed) for listed in choices]
    assert constant_answers(answered(guesses, gold, choices)) == ()
