"""Statistics against scipy, statsmodels and first principles, on data made here."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.multivariate.manova import MANOVA
from statsmodels.regression.mixed_linear_model import MixedLM

from distilwhy.human_study import permutation
from distilwhy.human_study.effects import effects
from distilwhy.human_study.mixed import mixed_model
from distilwhy.human_study.npmv import npmv
from distilwhy.human_study.permutation import pair_tests, permutation_tests
from distilwhy.human_study.power import power
from distilwhy.human_study.ratings import CONSTRUCTS, Ratings
from distilwhy.human_study.reliability import agreement, intraclass
from distilwhy.statistics.outliers import outliers, rstatix_outliers


@pytest.mark.parametrize("sizes", [(12, 7, 20), (9, 30), (5, 6, 7, 8)])
def test_wilks_is_manova_of_ranks(sizes: tuple[int, ...]) -> None:
    condition = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(len(sizes))
    values = np.round(rng.normal(3, 1, (sum(sizes), 4)) + 0.4 * condition[:, None])
    ranks = pd.DataFrame(stats.rankdata(values, axis=0), columns=list("wxyz"))
    fitted = MANOVA.from_formula("w + x + y + z ~ C(g)", ranks.assign(g=condition)).mv_test()
    expected = fitted.results["C(g)"]["stat"].loc["Wilks' lambda"].astype(float)
    ours = npmv(values, condition).wilks
    keys = ("Value", "Num DF", "Den DF", "F Value", "Pr > F")
    found = (ours.statistic, ours.df1, ours.df2, ours.F, ours.p)
    assert found == pytest.approx([expected[key] for key in keys], rel=1e-8)


def test_anova_type_is_the_anova_of_ranks_for_one_construct_and_equal_groups() -> None:
    values = np.round(np.random.default_rng(0).normal(3, 1, (36, 1)))
    condition = np.repeat([0, 1, 2], 12)
    ours = npmv(values, condition).anova_type
    groups = stats.rankdata(values[:, 0]).reshape(3, 12)
    expected = stats.f_oneway(*groups)
    assert (ours.F, ours.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)
    assert (ours.df1, ours.df2) == pytest.approx((2, 33))


def test_mixed_model_with_participants_is_statsmodels(study: Ratings) -> None:
    bare = Ratings(**{**vars(study), "item": None})
    ours = mixed_model(bare, "satisfaction")
    columns = [np.ones(len(study.condition))]
    columns += [(study.condition == number).astype(float) for number in (1, 2, 3)]
    fitted = MixedLM(
        study.outcome("satisfaction"),
        np.column_stack([*columns, study.length]),
        study.participant,
    ).fit(reml=True)
    assert list(ours.coef.values()) == pytest.approx(list(fitted.fe_params), rel=1e-6)
    # MixedLM's errors come from a numerical Hessian; lme4's are compared in test_against_r.py.
    assert list(ours.se.values()) == pytest.approx(list(fitted.bse_fe), rel=1e-3)
    assert ours.participant_variance == pytest.approx(float(fitted.cov_re[0, 0]), rel=1e-4)
    assert ours.residual_variance == pytest.approx(fitted.scale, rel=1e-5)
    assert ours.item_reason == "the table has no column 'rationale_id'"


def test_intraclass_correlation(study: Ratings) -> None:
    data = pd.DataFrame({"y": study.quality, "g": study.participant})
    table = smf.ols("y ~ C(g)", data).fit()
    between, within = table.mse_model, table.mse_resid
    sizes = data.groupby("g").size().to_numpy()
    typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1)
    expected = (between - within) / (between + (typical - 1) * within)
    found = intraclass(study.quality, study.participant)
    assert found.icc == pytest.approx(expected, rel=1e-8)


def test_agreement_counts_explanations_that_several_people_rated(study: Ratings) -> None:
    found = agreement(study, "plausibility")
    assert study.item is not None
    data = pd.DataFrame({"item": study.item, "person": study.participant})
    people = data.drop_duplicates().groupby("item").size()
    assert found.units == (people > 1).sum() > 0
    assert found.values == people[people > 1].sum()


def test_permutations_are_those_within_participants() -> None:
    """The drawn p is near that of all arrangements, gone through one by one."""
    participant = np.repeat([0, 1, 2], 4)
    condition = np.tile([0, 0, 1, 1], 3)
    values = np.array([3, 4, 4, 5, 1, 2, 2, 2, 3, 3, 5, 4.0])

    def statistic(labels: np.ndarray) -> float:
        rest = values - np.repeat(values.reshape(3, 4).mean(axis=1), 4)
        return sum(rest[labels == c].sum() ** 2 / 6 for c in (0, 1))

    arrangements = sorted(set(permutations([0, 0, 1, 1])))
    every = [statistic(np.concatenate(x)) for x in product(arrangements, repeat=3)]
    exact = np.mean(np.array(every) >= statistic(condition) - 1e-9)
    found = permutation_tests(values[:, None], condition, participant)[0]
    assert found.statistic == pytest.approx(statistic(condition))
    assert found.p == pytest.approx(exact, abs=0.01)
    assert pair_tests(values[:, None], condition, participant)[0, 1][0] == found


def test_type_one_error_is_nominal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Participants differ a lot, and one rates some conditions more often; no condition matters."""
    monkeypatch.setattr(permutation, "DRAWS", 199)
    participant = np.repeat(np.arange(10), 6)
    condition = np.tile([0, 1, 2, 0, 1, 2], 10)
    condition[:12] = [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 1]
    samples = 600
    rng = np.random.default_rng(1)
    levels = rng.normal(3, 1.5, (10, samples)).repeat(6, axis=0)
    values = np.clip(np.round(levels + rng.normal(0, 0.8, levels.shape)), 1, 5)
    p = np.array([test.p for test in permutation_tests(values, condition, participant)])
    # All share their draws, which makes their errors depend on each other a little.
    low, high = stats.binom.ppf([0.001, 0.999], samples, 0.05) / samples
    assert low <= np.mean(p <= 0.05) <= high
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_power_to_find_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences that an unpaired test hides among participants are found."""
    monkeypatch.setattr(permutation, "DRAWS", 199)
    participant, condition = np.repeat(np.arange(20), 4), np.tile([0, 0, 1, 1], 20)
    rng = np.random.default_rng(2)
    values = rng.normal(0, 3, 20).repeat(4) + rng.normal(0, 1, 80) + 1.0 * condition
    assert permutation_tests(values[:, None], condition, participant)[0].p == 1 / 200
    assert stats.mannwhitneyu(values[condition == 0], values[condition == 1]).pvalue > 0.05


def test_effects_and_their_intervals(study: Ratings) -> None:
    found = effects(study, "completeness")[2]
    values, place = study.outcome("completeness"), study.condition
    one, other = values[place == 0], values[place == 3]
    assert found.raw == pytest.approx(other.mean() - one.mean(), rel=1e-10)
    wins = stats.mannwhitneyu(one, other).statistic
    assert found.A is not None
    assert abs(found.A - wins / len(one) / len(other)) < 1e-10
    # The same by resampling rows of drawn participants, one by one.
    rng = np.random.default_rng(9)
    rows = [np.flatnonzero(study.participant == person) for person in range(26)]
    drawn = []
    for _ in range(1500):
        some = np.concatenate([rows[person] for person in rng.integers(0, 26, 26)])
        means = [values[some][place[some] == number].mean() for number in (0, 3)]
        drawn.append(means[1] - means[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.raw_low, found.raw_high) == pytest.approx((low, high), abs=0.03)


def test_participants_needed_find_the_difference(study: Ratings) -> None:
    """So many participants as are said find the difference in four of five studies."""
    plan = power(study, "quality", least=0.3)[2]
    assert plan.for_least is not None
    assert plan.sd is not None
    rng = np.random.default_rng(4)
    for least, n in ((0.3, plan.for_least), (plan.detectable, plan.participants)):
        samples = rng.normal(least, plan.sd, (4000, n))
        assert np.mean(stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05 / 6) == pytest.approx(
            0.8, abs=0.03
        )


def test_outliers_on_a_fence_are_r_s_by_rounding_alone() -> None:
    values = [1.6, 3.4, 3.4, 4.0, 4.0, 4.6, 4.6, 5.0, 3.4, 4.6, 4.0]
    assert np.quantile(values, [0.25, 0.75]).tolist() == [3.4, 4.6]
    assert not any(outliers(values))
    assert rstatix_outliers(values) == [True, *[False] * 10]
    assert rstatix_outliers([]) == []
    assert rstatix_outliers([2.0]) == [False]


def test_constructs_stand_in_the_paper_s_order() -> None:
    assert [name[:5] for name in CONSTRUCTS] == ["plaus", "under", "compl", "satis", "contr"]
