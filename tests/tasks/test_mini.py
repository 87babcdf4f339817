"""The shipped questions: enough, balanced, and no two alike."""

from __future__ import annotations

from collections import Counter
from itertools import chain, combinations

import pytest

from distilwhy.records import Example
from distilwhy.tasks import SPLITS, load_task
from distilwhy.tasks.words import words


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Example]]:
    task = load_task("mini")
    return {split: task.load(split) for split in SPLITS}


def test_sizes(splits: dict[str, list[Example]]) -> None:
    assert {split: len(examples) for split, examples in splits.items()} == {
        "train": 140,
        "validation": 30,
        "test": 80,
    }


def test_every_question_has_five_different_choices_and_an_answer(
    splits: dict[str, list[Example]],
) -> None:
    for example in chain.from_iterable(splits.values()):
        assert len({choice.casefold() for choice in example.choices}) == 5, example.id
        assert example.answer in example.choices, example.id
        assert example.question.endswith("?"), example.id


def test_ids_are_unique_over_all_splits(splits: dict[str, list[Example]]) -> None:
    ids = Counter(example.id for examples in splits.values() for example in examples)
    assert max(ids.values()) == 1


def test_right_answers_stand_in_all_places_alike(splits: dict[str, list[Example]]) -> None:
    for split, examples in splits.items():
        places = Counter(example.letter(str(example.answer)) for example in examples)
        assert set(places) == set("abcde")
        assert max(places.values()) - min(places.values()) <= 1, split


def test_no_two_questions_are_alike(splits: dict[str, list[Example]]) -> None:
    bags = [
        (example.id, set(words(example.question)))
        for example in chain.from_iterable(splits.values())
    ]
    for (left, a), (right, b) in combinations(bags, 2):
        assert len(a & b) <= 0.6 * len(a | b), (left, right)


def test_limit_is_drawn_by_seed() -> None:
    task = load_task("mini")
    drawn = task.load("train", limit=20, seed=1)
    assert drawn == task.load("train", limit=20, seed=1)
    assert len(drawn) == 20
    assert drawn != task.load("train", limit=20, seed=2)
