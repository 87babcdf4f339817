"""Texts changed on purpose, and how a student's likelihoods are read."""

from __future__ import annotations

import math

import pytest

from distilwhy.explainability.asking import likeliest
from distilwhy.explainability.perturbing import (
    ADJECTIVES,
    ADVERBS,
    PLAIN_WORDS,
    exchanged,
    filler,
    first_words,
    half_replaced,
    negated,
    word_inserted,
)

CHOICES = ("cat", "dog")


@pytest.mark.parametrize(
    ("share", "kept"), [(0.0, ""), (0.25, "a"), (0.5, "a b"), (0.75, "a b c"), (1.0, "a b c d e")]
)
def test_first_words(share: float, kept: str) -> None:
    assert first_words("a b  c d e", share) == kept


def test_filler_is_as_long_as_the_text() -> None:
    assert filler("one two  three") == "... ... ..."
    assert filler("") == ""


@pytest.mark.parametrize("length", [1, 2, 7, 12])
def test_half_of_the_words_are_replaced(length: int) -> None:
    before = [f"w{place}" for place in range(length)]
    after = half_replaced(" ".join(before), CHOICES, 3, "q").split()
    changed = [new for old, new in zip(before, after, strict=True) if new != old]
    assert len(changed) == (length + 1) // 2
    assert set(changed) <= set(PLAIN_WORDS)
    assert half_replaced(" ".join(before), CHOICES, 3, "q").split() == after


def test_no_word_of_a_choice_is_put_in() -> None:
    put = {
        word
        for seed in range(200)
        for word in half_replaced("x y", ("garden table", "window"), seed).split()
    }
    assert len(put) > 30
    assert not put & {"garden", "table", "window"}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (
            "Cats purr, dogs bark; not a dog, so the answer is cat.",
            "Dogs purr, cats bark; not a cat, so the answer is dog.",
        ),
        ("The cat's tail.", "The dog's tail."),
        ("A category.", None),
        ("It purrs.", None),
    ],
)
def test_exchanged(text: str, changed: str | None) -> None:
    assert exchanged(text, "cat", "dog") == changed


def test_a_choice_within_another_one() -> None:
    changed = exchanged("A river bank is wet; the bank is dry.", "bank", "river bank")
    assert changed == "A bank is wet; the river bank is dry."
    assert exchanged("the cat", "cat", "The Cat") is None


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("A bank is safe.", "A bank is not safe."),
        ("A bank isn't safe, it is open.", "A bank is safe, it is open."),
        ("It can't be so.", "It can be so."),
        ("It cannot be so.", "It can be so."),
        ("He was not there.", "He was there."),
        ("Money kept.", None),
        ("What's up.", None),
    ],
)
def test_negated(text: str, changed: str | None) -> None:
    assert negated(text) == changed


@pytest.mark.parametrize(
    "question",
    [
        "Where would you put a kettle?",
        "An apple falls from the tree.",
        "What do people use to cut?",
        "Running?",
    ],
)
def test_one_word_is_inserted(question: str) -> None:
    words = set()
    for seed in range(50):
        changed, word = word_inserted(question, question, seed) or ("", "")
        assert word in (*ADJECTIVES, *ADVERBS)
        words.add(word)
        left = changed.split()
        left.remove(word)
        articles = {"an": "a", "An": "A"}
        plain = [articles.get(w, w) for w in left]
        assert plain == [articles.get(w, w) for w in question.split()]
    assert len(words) > 10


def test_articles_agree_and_known_words_are_avoided() -> None:
    for seed in range(50):
        changed, word = word_inserted("a kettle", " ".join(ADJECTIVES[:-2]), seed) or ("", "")
        assert word in ADJECTIVES[-2:]
        assert changed == f"{'an' if word[0] in 'aeiou' else 'a'} {word} kettle"
    assert word_inserted("a kettle", " ".join(ADJECTIVES), 0) is None


def test_the_likeliest_choice() -> None:
    assert likeliest(("a", "b", "c"), (-3.0, -1.0, -2.0)) == "b"
    assert likeliest(("a", "b", "c"), (-1.0, -1.0, -2.0)) is None
    assert likeliest(("a", "a", "c"), (-1.0, -1.0, -2.0)) == "a"
    assert likeliest(("a", "b"), (math.nan, -1.0)) is None
    assert likeliest(("a", "b"), (-math.inf, -math.inf)) is None
