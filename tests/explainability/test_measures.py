"""What all measures share: figures with intervals, what they need, reasons instead of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.stats import binom

from distilwhy.errors import ConfigError
from distilwhy.explainability.figures import mean, share
from distilwhy.explainability.measures import (
    MEASURES,
    Figure,
    ItemScores,
    NotApplicableError,
    Scored,
    measure,
)
from distilwhy.explainability.subject import Subject


def test_share_has_the_binomial_interval() -> None:
    figure = share([True] * 30 + [False] * 70, seed=0)
    assert figure.value == 0.3
    assert figure.n == 100
    assert figure.ci_low == pytest.approx(binom.ppf(0.025, 100, 0.3) / 100, abs=0.011)
    assert figure.ci_high == pytest.approx(binom.ppf(0.975, 100, 0.3) / 100, abs=0.011)


def test_mean_has_a_normal_interval_where_the_sample_is_large() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    figure = mean(list(values), seed=1)
    half = 1.96 * values.std(ddof=0) / 20
    assert figure.value == pytest.approx(values.mean())
    assert figure.ci_low == pytest.approx(values.mean() - half, abs=0.02)
    assert figure.ci_high == pytest.approx(values.mean() + half, abs=0.02)


def test_few_values_and_none() -> None:
    assert mean([2.0], seed=0) == Figure(value=2.0, n=1)
    assert mean([2.0, 2.0], seed=0) == Figure(value=2.0, n=2, ci_low=2.0, ci_high=2.0)
    assert mean([], seed=0, reason="nothing said") == Figure(value=None, n=0, reason="nothing said")
    assert share([], seed=0).value is None


class Fussy:
    """A measure that asks for a student and says nothing of anyone."""

    needs = ("student",)

    def score(self, subject: Subject) -> Scored:
        raise NotApplicableError("it never applies")

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        raise AssertionError("no figures where it does not apply")


def test_a_measure_that_does_not_apply_gives_its_reason(monkeypatch, copying) -> None:
    monkeypatch.setitem(MEASURES._items, "fussy", Fussy())
    result = measure("fussy", Subject([], student=copying))
    assert result.reason == "it never applies"
    assert not result.figures


def test_what_is_missing_is_named(monkeypatch) -> None:
    monkeypatch.setitem(MEASURES._items, "fussy", Fussy())
    with pytest.raises(ConfigError, match=r"'fussy' needs the student itself.*--student"):
        measure("fussy", Subject([]))
    with pytest.raises(ConfigError, match="no measure named 'fuzzy'"):
        measure("fuzzy", Subject([]))
