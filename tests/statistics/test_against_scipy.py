"""Statistics against scipy and statsmodels on random data, unequal groups and ties among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.nonparametric import rank_compare_2indep

from distilwhy.statistics.anova import anova, tukey_hsd
from distilwhy.statistics.effects import vargha_delaney
from distilwhy.statistics.resampling import (
    group_permutation,
    paired_permutation,
    resampled_means,
    resampled_rows,
)


def close(value):
    return pytest.approx(value, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("seed", [0, 1])
def test_anova_with_statsmodels(seed, digits):
    random = np.random.default_rng(seed)
    rows = [
        (c, s, round(random.normal(i + j, 1.0), digits))
        for i, c in enumerate("abc")
        for j, s in enumerate("uv")
        for _ in range(random.integers(2, 6))
    ]
    frame = pd.DataFrame(rows, columns=["c", "s", "y"])
    theirs = anova_lm(ols("y ~ C(c, Sum) * C(s, Sum)", frame).fit(), typ=2)
    result = anova(list(frame.y), {"c": list(frame.c), "s": list(frame.s)})
    assert [line.F for line in result.effects] == close(list(theirs.F[:3]))
    assert [line.p for line in result.effects] == close(list(theirs["PR(>F)"][:3]))
    sums = theirs.sum_sq
    ges = [sums.iloc[i] / (sums.iloc[i] + sums.iloc[3]) for i in range(3)]
    assert [line.ges for line in result.effects] == close(ges)


def test_tukey_with_scipy():
    random = np.random.default_rng(2)
    groups = {
        name: random.normal(size=n).round(1).tolist()
        for name, n in zip("abc", (4, 7, 5), strict=False)
    }
    theirs = stats.tukey_hsd(*groups.values())
    limits = theirs.confidence_interval(0.95)
    for pair in tukey_hsd(groups):
        i, j = "abc".index(pair.a), "abc".index(pair.b)
        assert pair.difference == close(theirs.statistic[i, j])
        assert pair.p_adj == close(theirs.pvalue[i, j])
        assert (pair.ci_low, pair.ci_high) == close((limits.low[i, j], limits.high[i, j]))


@pytest.mark.parametrize("digits", [1, 9])
def test_permutations_with_scipy(digits):
    random = np.random.default_rng(3)
    first, second = random.normal(size=7).round(digits), random.normal(0.7, size=7).round(digits)

    def difference(x, y, axis=-1):
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    for kind, ours in (
        ("samples", paired_permutation(list(first - second))),
        ("independent", group_permutation(list(first), list(second))),
    ):
        theirs = stats.permutation_test(
            (first, second), difference, permutation_type=kind, vectorized=True, n_resamples=np.inf
        )
        assert ours.exact
        assert ours.p == close(theirs.pvalue)


def test_vargha_delaney_with_statsmodels():
    first, second = [3, 3, 4, 5, 2, 4, 4], [3, 2, 2, 4, 3, 1, 2, 5]
    assert vargha_delaney(first, second).a == close(rank_compare_2indep(first, second).prob1)


def test_bootstrap_draws_have_the_variance_that_theory_gives():
    random = np.random.default_rng(4)
    scores = (random.random((3, 400)) < 0.6).astype(float)
    means = resampled_means(scores, seed=1)
    assert means.shape == (3, 10_000)
    assert np.array_equal(means, resampled_means(scores, seed=1))
    # Equal questions for all rows: means of rows vary together as the rows do.
    assert np.cov(means) == pytest.approx(np.cov(scores, ddof=0) / 400, rel=0.1, abs=4e-5)
    steady = np.repeat(np.array([[0.1], [0.2], [0.6]]), 20_000, axis=1)
    assert np.var(resampled_rows(steady)) == pytest.approx(np.var([0.1, 0.2, 0.6]) / 3, rel=0.05)
