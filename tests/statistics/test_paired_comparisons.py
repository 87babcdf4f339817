"""Bradley-Terry against statsmodels' logistic regression without an intercept."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from distilwhy.errors import DataError
from distilwhy.statistics.paired_comparisons import Comparison, bradley_terry

NAMES = ("a", "b", "c", "d")


def made(seed: int, n: int = 300) -> list[Comparison]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        one, other = rng.choice(4, 2, replace=False)
        longer = float(rng.normal())
        odds = 0.5 * (one - other) + 0.7 * longer
        score = float(
            rng.choice([0.5, float(rng.random() < 1 / (1 + np.exp(-odds)))], p=[0.2, 0.8])
        )
        found.append(Comparison(NAMES[one], NAMES[other], score, f"q{rng.integers(40)}", longer))
    return found


@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_strengths_equal_a_logistic_regression(seed: int, covariate: bool) -> None:
    rows = made(seed)
    found = bradley_terry(rows, covariate=covariate)
    # Reference: 'd' is left out; statsmodels fits and gives the cluster-robust variance.
    x = np.zeros((len(rows), 3 + covariate))
    for place, row in enumerate(rows):
        for name, sign in ((row.first, 1), (row.second, -1)):
            if name != "d":
                x[place, NAMES.index(name)] += sign
        if covariate:
            x[place, 3] = row.covariate
    units = np.unique([row.unit for row in rows], return_inverse=True)[1]
    fit = sm.GLM([row.score for row in rows], x, family=sm.families.Binomial()).fit(
        tol=1e-14,
        maxiter=200,
        cov_type="cluster",
        cov_kwds={"groups": units, "use_correction": False},
    )
    centre = np.vstack([np.eye(3), np.zeros(3)]) - 0.25
    values = centre @ fit.params[:3]
    variance = fit.cov_params()[:3, :3] * 40 / 39
    errors = np.sqrt(np.diag(centre @ variance @ centre.T))
    assert found.units == 40
    for name, value, error in zip(NAMES, values, errors, strict=True):
        estimate = found.strengths[name]
        assert estimate.value == pytest.approx(value, abs=1e-8)
        assert estimate.ci_low == pytest.approx(value - 1.959963984540054 * error, abs=1e-8)
        assert estimate.ci_high == pytest.approx(value + 1.959963984540054 * error, abs=1e-8)
    if covariate:
        assert found.covariate is not None
        assert found.covariate.value == pytest.approx(fit.params[3], abs=1e-8)
        error = np.sqrt(fit.cov_params()[3, 3] * 40 / 39)
        assert found.covariate.ci_high == pytest.approx(
            fit.params[3] + 1.959963984540054 * error, abs=1e-8
        )


def test_two_things_have_the_log_odds_of_the_wins() -> None:
    rows = [Comparison("a", "b", float(n < 30), f"q{n}") for n in range(40)]
    found = bradley_terry(rows)
    odds = found.strengths["a"].value - found.strengths["b"].value
    assert odds == pytest.approx(np.log(3), abs=1e-10)


def test_intervals_hold_what_they_say() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        # Each question's comparisons depend on each other: the same score four times.
        wins = rng.random(60) < 1 / (1 + np.exp(-0.8))
        rows = [Comparison("a", "b", float(w), f"q{n}") for n, w in enumerate(wins) for _ in "1234"]
        found = bradley_terry(rows).strengths["a"]
        assert found.ci_low is not None
        assert found.ci_high is not None
        inside += found.ci_low < 0.4 < found.ci_high
    assert 182 <= inside <= 199


@pytest.mark.parametrize(
    ("rows", "covariate", "reason"),
    [
        ([], False, "nothing was compared"),
        ([("a", "b", 1.0, 0.0)] * 3, False, "no strength is finite"),
        ([("a", "b", 1.0, 0), ("b", "c", 0.5, 0), ("c", "b", 0.5, 0)], False, "no strength is"),
        ([("a", "b", 0.5, 0), ("c", "d", 0.5, 0)], False, "do not tell all strengths apart"),
        ([("a", "b", 0.5, 0), ("a", "b", 1.0, 0)], True, "equal in the covariate"),
        ([("a", "b", 0.5, 2), ("a", "b", 1.0, 2)], True, "and the covariate apart"),
        ([("a", "b", 1.0, 2), ("a", "b", 0.0, -1), ("a", "b", 1, 1)], True, "every preference"),
    ],
)
def test_what_has_no_strengths_says_why(rows: list, covariate: bool, reason: str) -> None:
    made = [Comparison(a, b, s, f"q{n}", x) for n, (a, b, s, x) in enumerate(rows)]
    found = bradley_terry(made, covariate=covariate)
    assert found.reason is not None
    assert reason in found.reason
    assert not found.strengths


def test_one_unit_has_no_interval_and_scores_are_finite() -> None:
    rows = [Comparison("a", "b", 1.0, "q"), Comparison("a", "b", 0.0, "q")]
    assert bradley_terry(rows).strengths["a"].ci_low is None
    with pytest.raises(DataError, match="scores: 1 of 1"):
        bradley_terry([Comparison("a", "b", float("nan"), "q")])
