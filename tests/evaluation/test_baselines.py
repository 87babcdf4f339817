"""Baselines against counts by hand, enumeration and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from distilwhy.errors import UserError
from distilwhy.evaluation.accuracy import accuracy
from distilwhy.evaluation.baselines import chance, majority_baseline, random_baseline
from distilwhy.records import Example


def example(name, answer, choices, family="multiple_choice") -> Example:
    return Example(id=str(name), question="?", choices=choices, answer=answer, family=family)


def yes_no(*answers) -> list[Example]:
    return [
        example(number, answer, ("yes", "no"), "yes_no") for number, answer in enumerate(answers)
    ]


def answers(predictions) -> list[str]:
    return [prediction.answer for prediction in predictions]


def test_majority_answers_the_most_frequent_training_label():
    training = yes_no("no", "yes", "no")
    test = yes_no("yes", "yes", "no", None)
    predictions = majority_baseline(training, test)
    assert answers(predictions) == ["no"] * 4
    assert accuracy(predictions[:3]).accuracy == pytest.approx(1 / 3)


def test_majority_breaks_ties_by_order_and_looks_at_training_only():
    assert answers(majority_baseline(yes_no("no", "yes"), yes_no("no", "no"))) == ["yes", "yes"]


def test_majority_of_varying_labels_is_a_position():
    training = [
        example(1, "elm", ("oak", "elm", "ash")),
        example(2, "ash", ("oak", "elm", "ash")),
        example(3, "dog", ("cat", "ant", "dog")),
        example(4, "red", ("blue", "red")),
        example(5, "low", ("high", "flat", "low")),
    ]
    test = [example(6, "w", ("u", "v", "w")), example(7, "x", ("x", "y"))]
    # Position c was right three times, b twice; the second question has no c.
    assert answers(majority_baseline(training, test)) == ["w", "y"]


def test_majority_needs_known_training_answers():
    with pytest.raises(UserError, match="no training example"):
        majority_baseline([], yes_no("yes"))
    with pytest.raises(UserError, match="1 example has no right answer: '1'"):
        majority_baseline(yes_no("yes", None), yes_no("yes"))


def test_random_draws_hang_on_seed_and_id_only():
    examples = [example(number, "a", ("a", "b", "c", "d")) for number in range(50)]
    whole = random_baseline(examples, seed=1)
    assert answers(random_baseline(examples[::-1], seed=1)) == answers(whole)[::-1]
    assert answers(random_baseline(examples[10:20], seed=1)) == answers(whole)[10:20]
    assert answers(random_baseline(examples, seed=2)) != answers(whole)


def test_random_draws_are_even_over_distinct_choices():
    examples = [example(number, "a", ("a", "b", "b", "c")) for number in range(3000)]
    drawn = answers(random_baseline(examples))
    assert chisquare([drawn.count(choice) for choice in "abc"]).pvalue > 0.001


def test_chance_of_equal_sizes_is_binomial():
    result = chance([example(number, "a", tuple("abcde")) for number in range(200)])
    assert result.accuracy == pytest.approx(0.2)
    assert result.ci_low * 200 == pytest.approx(binom.ppf(0.025, 200, 0.2))
    assert result.ci_high * 200 == pytest.approx(binom.ppf(0.975, 200, 0.2))


def test_chance_of_mixed_sizes_agrees_with_enumeration():
    sizes = [2, 2, 3, 5, 3, 2]
    examples = [example(n, "a", tuple("abcde"[:size])) for n, size in enumerate(sizes)]
    masses = np.zeros(len(sizes) + 1)
    for outcome in product((0, 1), repeat=len(sizes)):
        shares = [1 / s if right else 1 - 1 / s for right, s in zip(outcome, sizes, strict=True)]
        masses[sum(outcome)] += np.prod(shares)
    cumulated = masses.cumsum()
    result = chance(examples)
    assert result.accuracy == pytest.approx(np.mean([1 / size for size in sizes]))
    assert result.ci_low * 6 == pytest.approx(int(np.argmax(cumulated >= 0.025)))
    assert result.ci_high * 6 == pytest.approx(int(np.argmax(cumulated >= 0.975)))


def test_chance_counts_a_doubled_choice_once():
    assert chance([example(1, "a", ("a", "b", "b"))]).accuracy == 0.5


def test_chance_range_holds_drawn_baselines():
    examples = [example(number, "a", tuple("abcde"[: 2 + number % 4])) for number in range(300)]
    expected = chance(examples)
    drawn = [accuracy(random_baseline(examples, seed)).accuracy for seed in range(60)]
    assert np.mean(drawn) == pytest.approx(expected.accuracy, abs=0.015)
    within = sum(expected.ci_low <= share <= expected.ci_high for share in drawn)
    assert within >= 52


def test_chance_of_nothing_is_refused():
    with pytest.raises(UserError, match="no example"):
        chance([])
