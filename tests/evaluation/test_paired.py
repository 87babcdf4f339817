"""The paired comparison against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from distilwhy.errors import UserError
from distilwhy.evaluation.paired import difference_interval, mcnemar
from distilwhy.records import Example, Prediction


def predictor(scores, prefix="q", gold="yes") -> list[Prediction]:
    other = "no" if gold == "yes" else "yes"
    return [
        Prediction(
            example=Example(
                id=f"{prefix}{number}",
                question="?",
                choices=("yes", "no"),
                answer=gold,
                family="yes_no",
            ),
            answer=gold if right else other,
        )
        for number, right in enumerate(scores)
    ]


def pair(both: int, b: int, c: int, neither: int):
    first = [1] * both + [1] * b + [0] * c + [0] * neither
    second = [1] * both + [0] * b + [1] * c + [0] * neither
    return predictor(first), predictor(second)


TABLES = [(30, 9, 4, 7), (0, 1, 0, 0), (5, 0, 8, 2), (400, 60, 61, 300), (3, 5, 5, 3)]


@pytest.mark.parametrize("table", TABLES)
def test_p_agrees_with_statsmodels(table):
    both, b, c, neither = table
    result = mcnemar(*pair(*table))
    reference = reference_mcnemar([[both, b], [c, neither]], exact=True)
    assert result.p == pytest.approx(reference.pvalue)
    assert (result.only_first_right, result.only_second_right) == (b, c)
    assert result.n == sum(table)
    assert result.difference == pytest.approx((b - c) / sum(table))


@pytest.mark.parametrize("table", [(30, 9, 4, 7), (5, 0, 8, 2), (400, 60, 61, 300)])
def test_interval_agrees_with_scipy_paired_bootstrap(table):
    both, b, c, neither = table
    differences = np.array([0] * both + [1] * b + [-1] * c + [0] * neither)
    reference = bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=20_000, batch=2_000, rng=1
    ).confidence_interval
    result = mcnemar(*pair(*table))
    n = sum(table)
    assert result.ci_low == pytest.approx(reference.low, abs=1 / n + 1e-9)
    assert result.ci_high == pytest.approx(reference.high, abs=1 / n + 1e-9)


def test_swapping_the_predictors_mirrors_the_result():
    first, second = pair(30, 9, 4, 7)
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert one.difference == -other.difference
    assert one.p == other.p
    assert one.ci_low == pytest.approx(-other.ci_high, abs=1 / 50)


def test_equal_predictors_differ_by_nothing_but_not_with_certainty():
    result = mcnemar(*pair(12, 0, 0, 8))
    assert (result.difference, result.p) == (0.0, 1.0)
    # With 20 examples, a share of discordant ones below 1 - 0.025**(1/20) = 0.168 may be unseen.
    assert (result.ci_low, result.ci_high) == pytest.approx((-0.16843, 0.16843), abs=1e-5)


def test_one_always_right_where_the_other_is_wrong():
    result = mcnemar(*pair(0, 20, 0, 0))
    assert result.difference == result.ci_high == 1.0
    assert result.ci_low == pytest.approx(1 - 2 * 0.16843, abs=1e-5)
    assert difference_interval(0, 1, 1) == (-1.0, pytest.approx(-1 + 2 * 0.975))


def test_the_interval_hangs_on_the_seed_only():
    assert difference_interval(30, 20, 1000, seed=5) == difference_interval(30, 20, 1000, seed=5)


def test_examples_are_matched_by_id_not_by_place():
    first, second = pair(3, 5, 2, 4)
    assert mcnemar(first, second[::-1]) == mcnemar(first, second)


def test_other_examples_are_refused_and_some_are_named():
    first, second = predictor([1] * 9), predictor([1] * 3)
    with pytest.raises(
        UserError, match=r"only the first has 'q3', 'q4', 'q5', 'q6', 'q7' and 1 more\."
    ):
        mcnemar(first, second)
    with pytest.raises(UserError, match=r"only the first has 'q0'; only the second has 'x0'\."):
        mcnemar(predictor([1]), predictor([1], prefix="x"))


def test_other_right_answers_are_refused():
    with pytest.raises(UserError, match="other right answers for 'q0', 'q1'"):
        mcnemar(predictor([1, 1]), predictor([1, 1], gold="no"))


def test_doubled_ids_and_empty_lists_are_refused():
    with pytest.raises(UserError, match="the first predictions: there is no prediction"):
        mcnemar([], predictor([1]))
    with pytest.raises(UserError, match="the second predictions: example 'q0' is answered 2"):
        mcnemar(predictor([1]), predictor([1]) * 2)
