"""Test questions that training repeats."""

from __future__ import annotations

from distilwhy.evaluation.contamination import contamination
from distilwhy.records import Example, Prediction


def example(name: str, question: str) -> Example:
    return Example(id=name, question=question, choices=("grass", "stones"), answer="grass")


TRAINING = [
    example("t1", "What do cows eat in a green pasture?"),
    example("t2", "Where do ships anchor at night?"),
]
TEST = [
    (example("a", "In a green pasture, what do cows eat?"), "grass"),
    (example("b", "What do cows like to eat in the pasture?"), "stones"),
    (example("c", "Who drives a night train?"), "grass"),
    (example("d", "Who drives a night train?"), "grass"),
]


def test_repeated_questions_are_found_and_scored_apart() -> None:
    asked = [Prediction(example=one, answer=answer) for one, answer in TEST]
    found = contamination(asked, TRAINING, threshold=0.7)
    # a has the same words; b shares 3 of 4 content words; c and d repeat each other only.
    assert [(r.test, r.training, r.similarity) for r in found.repeated] == [
        ("a", "t1", 1.0),
        ("b", "t1", 0.75),
    ]
    assert found.on_repeated is not None
    assert found.on_others is not None
    assert (found.on_repeated.n, found.on_repeated.accuracy) == (2, 0.5)
    assert (found.on_others.n, found.on_others.accuracy) == (2, 1.0)


def test_a_clean_test_and_one_that_is_all_training() -> None:
    asked = [Prediction(example=TEST[2][0], answer="grass")]
    clean = contamination(asked, TRAINING)
    assert (clean.repeated, clean.on_repeated) == ((), None)
    copied = contamination(asked, [TEST[2][0]])
    assert copied.repeated[0].similarity == 1.0
    assert copied.on_others is None
