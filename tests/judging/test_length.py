"""Length adjustment equals statsmodels' regressions and takes a bias of length away."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from distilwhy.judging.length import Sized, at_equal_length, at_length


def made(seed: int, n: int = 40) -> dict[str, list[Sized]]:
    """Three predictors on the same examples; scores depend on predictor, words and example."""
    rng = np.random.default_rng(seed)
    shift = rng.normal(size=n)
    return {
        name: [
            Sized(f"q{q}", int(w), float(better + 0.1 * w + shift[q] + rng.normal()))
            for q, w in enumerate(rng.integers(5 + 4 * better, 25 + 4 * better, n))
        ]
        for better, name in enumerate(("a", "b", "c"))
    }


@pytest.mark.parametrize("seed", range(3))
def test_one_predictor_at_a_length_equals_the_line_of_statsmodels(seed: int) -> None:
    rows = made(seed)["b"]
    fit = sm.OLS([r.score for r in rows], sm.add_constant([r.words for r in rows])).fit()
    frame = fit.get_prediction([[1, 18.5]]).summary_frame()
    found = at_length(rows, 18.5)
    assert not isinstance(found, str)
    assert found.value == pytest.approx(frame["mean"][0], abs=1e-10)
    assert found.ci_low == pytest.approx(frame["mean_ci_lower"][0], abs=1e-10)
    assert found.ci_high == pytest.approx(frame["mean_ci_upper"][0], abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_predictors_at_equal_length_equal_a_clustered_regression(seed: int) -> None:
    groups = made(seed)
    rows = [(name, row) for name in groups for row in groups[name]]
    words = np.array([row.words for _, row in rows], dtype=float)
    x = np.column_stack([[float(n == name) for n, _ in rows] for name in groups])
    x = np.column_stack([x, words - words.mean()])
    units = np.unique([row.example_id for _, row in rows], return_inverse=True)[1]
    fit = sm.OLS([row.score for _, row in rows], x).fit(
        cov_type="cluster", cov_kwds={"groups": units, "use_correction": False}, use_t=True
    )
    from scipy.stats import t

    half = np.sqrt(np.diag(fit.cov_params()) * 40 / 39) * t.ppf(0.975, 39)
    found = at_equal_length(groups)
    assert found.words == pytest.approx(words.mean())
    for place, name in enumerate(groups):
        estimate = found.adjusted[name]
        assert estimate.value == pytest.approx(fit.params[place], abs=1e-10)
        assert estimate.ci_low == pytest.approx(fit.params[place] - half[place], abs=1e-10)
        assert found.raw[name] == pytest.approx(np.mean([r.score for r in groups[name]]))
    assert found.slope is not None
    assert found.slope.value == pytest.approx(10 * fit.params[3], abs=1e-9)
    assert found.slope.ci_high == pytest.approx(10 * (fit.params[3] + half[3]), abs=1e-9)


def test_scores_that_are_length_alone_are_equal_at_equal_length() -> None:
    groups = {
        name: [Sized(f"q{n}", mean + n % 7, 1 + 0.1 * (mean + n % 7)) for n in range(28)]
        for name, mean in (("short", 5), ("long", 15))
    }
    found = at_equal_length(groups)
    assert found.raw["long"] - found.raw["short"] == pytest.approx(1.0)
    assert found.adjusted["long"].value == pytest.approx(found.adjusted["short"].value)
    assert found.slope is not None
    assert found.slope.value == pytest.approx(1.0)


def test_what_cannot_be_adjusted_says_why() -> None:
    same = [Sized(f"q{n}", 9, float(n)) for n in range(5)]
    assert at_length(same[:2], 9) == "fewer than three explanations are rated"
    assert "equally long" in str(at_length(same, 9))
    apart = [Sized(f"q{n}", 9 + n, float(n)) for n in range(5)]
    assert at_length(apart, 40) == (
        "explanations have 9 to 13 words, so nothing is known of 40 words"
    )
    assert "equally long" in str(at_equal_length({"a": same, "b": same}).reason)
    few = at_equal_length({"a": apart[:2], "b": apart[:2]})
    assert few.reason == "fewer than three examples are rated"
    assert few.raw == {"a": 0.5, "b": 0.5}
    assert at_equal_length({}).reason is not None
