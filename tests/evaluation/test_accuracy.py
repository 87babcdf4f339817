"""Accuracy against scipy's bootstrap and exact interval; classes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest, bootstrap

from distilwhy.errors import UserError
from distilwhy.evaluation.accuracy import (
    accuracy,
    class_metrics,
    fixed_labels,
    proportion_interval,
)
from distilwhy.records import Example, Prediction

YES_NO = ("yes", "no")


def asked(name, gold, answer, choices=YES_NO, family="yes_no"):
    example = Example(id=str(name), question="?", choices=choices, answer=gold, family=family)
    return Prediction(example=example, answer=answer)


def scored(right: int, wrong: int, unparsed: int = 0) -> list[Prediction]:
    answers = ["yes"] * right + ["no"] * wrong + [None] * unparsed
    return [asked(number, "yes", answer) for number, answer in enumerate(answers)]


@pytest.mark.parametrize(("right", "n"), [(7, 10), (1, 10), (40, 50), (333, 500)])
def test_interval_agrees_with_scipy_bootstrap(right, n):
    scores = np.array([1] * right + [0] * (n - right))
    reference = bootstrap(
        (scores,), np.mean, method="percentile", n_resamples=20_000, batch=2_000, rng=1
    ).confidence_interval
    low, high = proportion_interval(right, n)
    # Resampled shares are multiples of 1/n, so two sets of draws may differ by one step.
    assert low == pytest.approx(reference.low, abs=1 / n + 1e-9)
    assert high == pytest.approx(reference.high, abs=1 / n + 1e-9)


@pytest.mark.parametrize(("right", "n"), [(2, 3), (610, 1221), (5000, 9824)])
def test_interval_is_the_limit_of_infinitely_many_resamples(right, n):
    low, high = proportion_interval(right, n)
    assert low * n == pytest.approx(binom.ppf(0.025, n, right / n), abs=1)
    assert high * n == pytest.approx(binom.ppf(0.975, n, right / n), abs=1)


@pytest.mark.parametrize("n", [1, 2, 10, 1221])
@pytest.mark.parametrize("all_right", [True, False])
def test_all_right_and_all_wrong_get_the_exact_interval(n, all_right):
    reference = binomtest(n if all_right else 0, n).proportion_ci(0.95, method="exact")
    assert proportion_interval(n if all_right else 0, n) == pytest.approx(
        (reference.low, reference.high)
    )


def test_interval_hangs_on_the_seed_only():
    assert proportion_interval(301, 1000, seed=4) == proportion_interval(301, 1000, seed=4)
    intervals = {proportion_interval(30_100, 100_000, seed) for seed in range(5)}
    assert len(intervals) > 1


def test_interval_holds_the_truth_about_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    trials = 400
    rights, times = np.unique(rng.binomial(200, 0.7, size=trials), return_counts=True)
    intervals = [proportion_interval(int(right), 200) for right in rights]
    hits = sum(
        int(count)
        for (low, high), count in zip(intervals, times, strict=True)
        if low <= 0.7 <= high
    )
    assert binomtest(hits, trials, 0.95).pvalue > 0.001


def test_accuracy_counts_unparsed_answers_apart_and_as_wrong():
    result = accuracy(scored(right=6, wrong=2, unparsed=2))
    assert (result.n, result.accuracy, result.unparsed) == (10, 0.6, 2)
    assert result.ci_low < 0.6 < result.ci_high


def test_all_unparsed():
    result = accuracy(scored(right=0, wrong=0, unparsed=4))
    assert (result.accuracy, result.unparsed, result.ci_low) == (0.0, 4, 0.0)
    assert result.ci_high == pytest.approx(binomtest(0, 4).proportion_ci().high)


def test_no_prediction_is_refused():
    with pytest.raises(UserError, match="no prediction"):
        accuracy([])


def test_unknown_right_answers_are_counted_and_named():
    predictions = [asked(f"q{number}", None, "yes") for number in range(7)]
    predictions.append(asked("known", "yes", "yes"))
    with pytest.raises(
        UserError,
        match=r"7 examples have no right answer: 'q0', 'q1', 'q2', 'q3', 'q4' and 2 more\.",
    ):
        accuracy(predictions)
    with pytest.raises(UserError, match=r"1 example has no right answer: 'q0'\."):
        accuracy(predictions[:1])


def test_doubled_ids_and_foreign_answers_are_reported_together():
    predictions = [asked(1, "yes", "yes"), asked(1, "no", "no"), asked(2, "yes", "maybe")]
    with pytest.raises(UserError) as caught:
        accuracy(predictions)
    assert "example '1' is answered 2 times" in str(caught.value)
    assert "example '2' has the answer 'maybe'" in str(caught.value)


def test_classes_by_label():
    predictions = [
        asked(1, "yes", "yes"),
        asked(2, "yes", "no"),
        asked(3, "yes", None),
        asked(4, "no", "no"),
        # Another order of the same labels is still the same set.
        asked(5, "no", "no", choices=("no", "yes")),
    ]
    classes = class_metrics(predictions)
    assert list(classes) == ["yes", "no"]
    assert (classes["yes"].n, classes["yes"].predicted) == (3, 1)
    assert classes["yes"].accuracy == pytest.approx(1 / 3)
    assert (classes["no"].n, classes["no"].accuracy, classes["no"].predicted) == (2, 1.0, 3)


def test_a_label_that_no_example_has_is_shown_without_accuracy():
    labels = ("entailment", "neutral", "contradiction")
    classes = class_metrics([asked(1, "neutral", "entailment", labels, "nli")])
    assert list(classes) == list(labels)
    assert (classes["entailment"].n, classes["entailment"].predicted) == (0, 1)
    assert classes["entailment"].accuracy is None
    assert classes["neutral"].accuracy == 0.0


def test_classes_by_position_where_labels_vary():
    predictions = [
        asked(1, "oak", "oak", ("oak", "elm", "ash"), "multiple_choice"),
        asked(2, "cat", "dog", ("dog", "cat"), "multiple_choice"),
        # A choice that stands twice counts where it stands first.
        asked(3, "red", "red", ("blue", "red", "red"), "multiple_choice"),
    ]
    classes = class_metrics(predictions)
    assert list(classes) == ["a", "b", "c"]
    assert [classes[letter].n for letter in "abc"] == [1, 2, 0]
    assert [classes[letter].accuracy for letter in "abc"] == [1.0, 0.5, None]
    assert [classes[letter].predicted for letter in "abc"] == [2, 1, 0]


def test_fixed_labels():
    trees = Example(id="1", question="?", choices=("oak", "elm"), answer="oak")
    pets = Example(id="2", question="?", choices=("cat", "dog"), answer="dog")
    again = Example(id="3", question="?", choices=("elm", "oak"), answer="oak")
    assert fixed_labels([trees, again]) == ("oak", "elm")
    assert fixed_labels([trees, pets]) is None
    assert fixed_labels([trees]) is None
    assert fixed_labels([]) is None
    assert fixed_labels([asked(1, "yes", None).example]) == YES_NO
