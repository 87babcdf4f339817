"""Draws: stable, even, and independent of each other."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from distilwhy.draws import draw, stable_number
from distilwhy.errors import DataError
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example
from distilwhy.teaching.draws import (
    adjective_pool,
    draw_adjectives,
    draw_flaw,
    draw_wrong_choice,
)

ADJECTIVES = load_prompts("multiple_choice").adjectives


def test_stable_number_is_the_hash_of_the_parts() -> None:
    expected = int(hashlib.sha256(b'[7,"caf\\u00e9","step"]').hexdigest(), 16)
    assert stable_number(7, "café", "step") == expected


def test_parts_are_kept_apart() -> None:
    assert stable_number("a", "bc") != stable_number("ab", "c")
    assert stable_number(1, "2") != stable_number("1", 2)


def test_draw_is_even() -> None:
    counts = Counter(draw("abcde", 0, f"example-{number}") for number in range(5000))
    chi_squared = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi_squared < 18.5  # the 99.9 % point of chi-squared with 4 degrees of freedom
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([], 0)


def test_all_pairs_are_306() -> None:
    pool = adjective_pool(ADJECTIVES, "all", 0)
    assert len(set(pool)) == 306
    assert all(first != second for first, second in pool)


def test_pool_is_seeded_and_grows_by_adding() -> None:
    small = adjective_pool(ADJECTIVES, 8, 3)
    assert len(set(small)) == 8
    assert adjective_pool(ADJECTIVES, 16, 3)[:8] == small
    assert adjective_pool(ADJECTIVES, 8, 4) != small
    assert set(adjective_pool(ADJECTIVES, 306, 3)) == set(adjective_pool(ADJECTIVES, "all", 3))


def test_draws_differ_by_example_step_and_seed() -> None:
    pool = adjective_pool(ADJECTIVES, "all", 0)
    base = [draw_adjectives(pool, 0, str(number), "rationale") for number in range(20)]
    assert base == [draw_adjectives(pool, 0, str(number), "rationale") for number in range(20)]
    assert len(set(base)) > 10
    assert base != [draw_adjectives(pool, 0, str(number), "critique") for number in range(20)]
    assert base != [draw_adjectives(pool, 1, str(number), "rationale") for number in range(20)]


def test_every_flaw_is_drawn() -> None:
    flaws = list(load_prompts("nli").flaws)
    assert {draw_flaw(flaws, 0, str(number)) for number in range(100)} == set(flaws)


def test_wrong_choice_is_never_the_right_one() -> None:
    choices = ("a", "b", "b", "c")
    examples = [Example(id=str(n), question="Q", choices=choices, answer="b") for n in range(40)]
    assert {draw_wrong_choice(example, 0) for example in examples} == {"a", "c"}


def test_wrong_choice_needs_an_answer() -> None:
    with pytest.raises(DataError, match="'x' has no answer"):
        draw_wrong_choice(Example(id="x", question="Q", choices=("a", "b")), 0)
