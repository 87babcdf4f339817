"""Degenerate data give a named reason, never NaN; rounding decides nothing."""

from __future__ import annotations

import math

import pytest

from distilwhy.errors import UserError
from distilwhy.statistics.anova import anova, tukey_hsd
from distilwhy.statistics.assumptions import levene, shapiro_wilk
from distilwhy.statistics.effects import hedges_g, vargha_delaney
from distilwhy.statistics.multiplicity import adjust
from distilwhy.statistics.outliers import outliers
from distilwhy.statistics.power import detectable_by_groups, detectable_by_pairs
from distilwhy.statistics.resampling import group_permutation, paired_permutation

# Equal in decimals, not in floating point.
THIRD = [0.3, 0.1 + 0.2, 0.3]


def test_a_value_on_a_fence_is_no_outlier():
    # Quartiles 0.2 and 0.4: the upper fence is 0.7, which is 0.7000000000000001 or so in binary.
    assert not any(outliers([0.1, 0.2, 0.3, 0.4, 0.7]))
    assert outliers([0.1, 0.2, 0.3, 0.4, 0.7001]) == [False] * 4 + [True]
    for step in range(1, 200):
        low = step / 1221
        values = [low, low + 2 / 1221, low + 3 / 1221, low + 4 / 1221, low + 7 / 1221]
        assert not any(outliers(values)), step
        assert outliers([*values[:4], low + 8 / 1221])[-1], step
    assert outliers([]) == []
    assert outliers([1.0]) == [False]
    assert outliers([5, 5, 5, 5, 6]) == [False] * 4 + [True]


@pytest.mark.parametrize("function", [outliers, shapiro_wilk, paired_permutation])
def test_what_is_not_finite_is_refused(function):
    with pytest.raises(UserError, match="1 of 3 numbers are not finite"):
        function([1.0, math.nan, 2.0])


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ([[1, 2, 3]], "fewer than two groups"),
        ([[1], [2]], "no group has two values"),
        ([THIRD, [1, 1]], "all values of each group are equal"),
        ([[1, 2], [5, 9]], "equally far from the group's median"),
    ],
)
def test_levene(groups, reason):
    result = levene(groups)
    assert reason in result.reason
    assert (result.statistic, result.p) == (None, None)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 2.0], "fewer than three"),
        (THIRD, "all values are equal"),
        (list(range(5001)), "more than 5,000"),
    ],
)
def test_shapiro(values, reason):
    result = shapiro_wilk(values)
    assert reason in result.reason
    assert (result.statistic, result.p) == (None, None)


def test_anova_and_tukey_without_error():
    one_a_cell = anova([1, 2, 3, 5], {"x": list("aabb"), "y": list("cdcd")})
    assert "no cell has two values" in one_a_cell.reason
    assert [line.F for line in one_a_cell.effects] == [None] * 3
    constant = anova([0.3, 0.1 + 0.2, 0.7, 0.1 + 0.6], {"x": list("aabb")})
    assert constant.reason == "values do not vary within any cell"
    assert "only one group" in anova([1, 2], {"x": list("aa")}).reason
    (pair,) = tukey_hsd({"a": THIRD, "b": [0.5, 0.5]})
    assert (pair.p_adj, pair.reason) == (None, "values do not vary within any group")
    assert tukey_hsd({"a": [1], "b": [2]})[0].reason == "no group has two values"


def test_anova_with_an_empty_cell_gives_no_interaction_that_cannot_be_told():
    # Cells (a, c), (a, d), (b, c): with three of four cells there is no interaction to estimate.
    result = anova([1, 2, 4, 5, 3, 2.5], {"x": list("aaaabb"), "y": list("ccddcc")})
    assert [line.effect for line in result.effects] == ["x", "y"]
    assert result.residual_df == 3
    assert all(math.isfinite(line.F) for line in result.effects)


def test_effects():
    apart = vargha_delaney([3, 4, 5], [0, 1, 2])
    assert apart.a == 1.0
    assert apart.ci_high == 1.0
    assert 0.5 < apart.ci_low < 0.6
    other = vargha_delaney([0, 1, 2], [3, 4, 5])
    assert (other.ci_low, other.ci_high) == (0.0, pytest.approx(1 - apart.ci_low))
    assert vargha_delaney([1], [1]).a == 0.5
    assert [vargha_delaney([1], [x]).size for x in (1, 0)] == ["negligible", "large"]
    assert hedges_g(THIRD, [0.4, 0.4]).reason == "no group's values vary"
    assert "too little" in hedges_g([1, 1 + 1e-6], [5, 5 + 1e-6, 5]).reason
    assert hedges_g([1], [2, 3]).g is None


def test_newcombe_s_interval_solves_its_own_equation():
    first, second = [3, 5, 4, 7, 6, 2], [1, 3, 2, 4, 2]
    result = vargha_delaney(first, second)
    m, n = len(first), len(second)
    for end in (result.ci_low, result.ci_high):
        inner = 1 + ((m + n) / 2 - 1) * ((1 - end) / (2 - end) + end / (1 + end))
        error = math.sqrt(end * (1 - end) * inner / (m * n))
        assert abs(result.a - end) == pytest.approx(1.959963984540054 * error, rel=1e-8)


def test_permutations():
    assert paired_permutation([0.0, 0.0, 0.0]).p == 1.0
    five = paired_permutation([1, 2, 3, 4, 5])
    assert (five.p, five.smallest_p, five.exact) == (0.0625, 0.0625, True)
    # 0.1 + 0.2 - 0.3 is not 0 in floating point; ties are ties all the same.
    assert paired_permutation([0.1, 0.2, -0.3]).p == 1.0
    assert group_permutation([1.0], [2.0]).p == 1.0
    assert group_permutation([1, 2], [3, 4, 5]).smallest_p == pytest.approx(0.1)


def test_many_values_are_permuted_by_draws():
    differences = [0.5, -0.2, 0.3, 0.1, 0.4, -0.1] * 3
    drawn = paired_permutation(differences, seed=1)
    assert not drawn.exact
    # The central limit is close enough for 18 differences: z = 2.31.
    assert drawn.p == pytest.approx(0.0207, abs=0.003)
    assert drawn == paired_permutation(differences, seed=1)
    groups = group_permutation([x + 0.2 for x in range(12)], list(range(12)), seed=1)
    assert not groups.exact
    assert groups.p > 0.8


def test_power():
    assert detectable_by_pairs(5) is None
    assert detectable_by_groups(3, 3) is None
    # With six pairs only six equal signs give p < 0.05: Phi(d)**6 = 0.8, so d = 1.794.
    assert detectable_by_pairs(6) == pytest.approx(1.794, abs=0.06)
    # At the border to the t-test both ways agree.
    assert detectable_by_pairs(10) == pytest.approx(detectable_by_pairs(11), rel=0.1)
    assert detectable_by_pairs(8, 0.05 / 6) > detectable_by_pairs(8)


def test_missing_p_values_are_no_member_of_the_family():
    assert adjust([0.01, None, 0.04]) == [pytest.approx(0.02), None, pytest.approx(0.04)]
    assert adjust([None]) == [None]
    assert adjust([]) == []
