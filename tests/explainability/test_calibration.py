"""Calibration against independent computations, and on a student that knows nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from distilwhy.explainability.calibration import (
    expected_calibration_error,
    reliability,
    selective_accuracy,
)
from distilwhy.explainability.measures import measure
from distilwhy.explainability.subject import Subject
from distilwhy.records import Example, Prediction


class Sure:
    """A student whose likelihoods are given."""

    name = "sure"
    answers_after_rationale = False

    def __init__(self, shares: Sequence[Sequence[float]]) -> None:
        self.shares = shares

    def predict(self, examples: Sequence[Example], tags: str = "learnt") -> list[Prediction]:
        raise AssertionError("it is asked for likelihoods only")

    def choice_likelihoods(
        self, examples: Sequence[Example], rationales: Sequence[str] | None = None
    ) -> list[tuple[float, ...]]:
        return [tuple(map(math.log, row)) for row in self.shares[: len(examples)]]


def asked(count: int, choices: tuple[str, ...] = ("a cat", "a dog")) -> list[Prediction]:
    return [
        Prediction(
            example=Example(id=f"q{n}", question="Which?", choices=choices, answer="a cat"),
            answer="a cat",
        )
        for n in range(count)
    ]


def test_figures_by_hand() -> None:
    student = Sure([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    figures = measure("calibration", Subject(asked(4), student=student)).figures
    assert figures["option_accuracy"].value == 0.75
    assert figures["agrees_with_greedy"].value == 0.75
    assert figures["confidence"].value == pytest.approx((0.9 + 0.6 + 0.8 + 0.7) / 4)
    brier = 2 * (0.1**2 + 0.4**2 + 0.8**2 + 0.3**2) / 4
    assert figures["brier"].value == pytest.approx(brier)
    # Four items are four bins: |1 - .9|, |1 - .6|, |0 - .8|, |1 - .7|.
    assert figures["ece"].value == pytest.approx((0.1 + 0.4 + 0.8 + 0.3) / 4)
    # The two most confident are .9 (right) and .8 (wrong).
    assert figures["selective_accuracy_50"].value == 0.5
    for figure in figures.values():
        assert figure.n == 4
        assert figure.ci_low is not None
        assert figure.ci_high is not None
        assert figure.value is not None
        assert figure.ci_low <= figure.value <= figure.ci_high


def test_a_choice_that_stands_twice_counts_once() -> None:
    student = Sure([[0.4, 0.4, 0.2]])
    item = measure(
        "calibration", Subject(asked(1, ("a cat", "a cat", "a dog")), student=student)
    ).items[0]
    assert item.scores["confidence"] == pytest.approx(0.4 / 0.6)


def test_sound_confidence_has_a_small_error_and_overconfidence_its_own_size() -> None:
    generator = np.random.default_rng(0)
    sure = beta(5, 3).rvs(20_000, random_state=generator)
    right = generator.random(20_000) < sure
    assert expected_calibration_error(sure, right) < 0.02
    assert expected_calibration_error(np.full(20_000, 0.95), generator.random(20_000) < 0.55) == (
        pytest.approx(0.40, abs=0.02)
    )


def test_bins_have_equal_mass() -> None:
    sizes = [n for n, _, _ in reliability(list(np.linspace(0.5, 1, 43)), [1] * 43, 10)]
    assert sum(sizes) == 43
    assert max(sizes) - min(sizes) == 1
    assert [n for n, _, _ in reliability([0.5, 0.6], [0, 1])] == [1, 1]


def test_error_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(1)
    sure, right = generator.random(57), generator.integers(0, 2, 57)
    pairs = sorted(zip(sure, right, strict=True))
    total, start = 0.0, 0
    for place in range(10):
        size = 57 // 10 + (place < 57 % 10)
        part = pairs[start : start + size]
        start += size
        gap = sum(r for _, r in part) / size - sum(c for c, _ in part) / size
        total += size / 57 * abs(gap)
    assert expected_calibration_error(list(sure), list(right)) == pytest.approx(total, abs=1e-12)


def test_selective_accuracy_rises_where_confidence_tells() -> None:
    sure = list(np.linspace(0, 1, 100))
    right = [0] * 50 + [1] * 50
    assert selective_accuracy(sure, right, 0.5) == 1.0
    assert selective_accuracy(sure, right, 1.0) == 0.5
    assert selective_accuracy(sure, right, 0.001) == 1.0


def test_no_known_answer_gives_reasons() -> None:
    example = Example(id="q", question="Which?", choices=("a", "b"))
    result = measure("calibration", Subject([Prediction(example=example)], student=Sure([])))
    assert {figure.value for figure in result.figures.values()} == {None}
    assert all(figure.reason for figure in result.figures.values())


def test_a_model_is_read_as_its_likelihoods_say(make_student: Callable[..., Path]) -> None:
    from distilwhy.config import PredictionSettings
    from distilwhy.inference.student import TrainedStudent

    folder = make_student("llama", "predict", "explain")
    student = TrainedStudent(folder, PredictionSettings(precision="fp32"))
    predictions = asked(3)
    result = measure("calibration", Subject(predictions, student=student))
    likelihoods = student.choice_likelihoods([p.example for p in predictions])
    for item, (cat, dog) in zip(result.items, likelihoods, strict=True):
        share = 1 / (1 + math.exp(dog - cat))
        assert item.scores["choice"] == ("a cat" if cat > dog else "a dog")
        assert item.scores["confidence"] == pytest.approx(max(share, 1 - share), abs=1e-4)
        assert item.scores["brier"] == pytest.approx(2 * (1 - share) ** 2, abs=1e-4)
