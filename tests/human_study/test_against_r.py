"""The paper's statistics and the models against R (reference.R made the numbers)."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.human_study.analyse import analyse
from distilwhy.human_study.ratings import CONSTRUCTS

Numbers = dict[str, Any]
TABLES = ("study", "gaps")
CLOSE = {"rel": 1e-8, "abs": 1e-10}


def check(ours: Any, theirs: Any, tolerance: dict[str, float] = CLOSE) -> None:
    """Compare all that R gives; our numbers may say more."""
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            check(ours[key], value, tolerance)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            check(one, other, tolerance)
    elif isinstance(theirs, str):
        assert ours == theirs
    else:
        assert ours == pytest.approx(theirs, **tolerance)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "key", ["means", "kruskal", "dunn", "vda", "shapiro", "levene", "correlations", "npmv"]
)
def test_rank_tests_and_assumptions(
    figures: dict[str, Numbers], reference: Numbers, table: str, key: str
) -> None:
    check(figures[table][key], reference[table][key])


@pytest.mark.parametrize("table", TABLES)
def test_cronbach(figures: dict[str, Numbers], reference: Numbers, table: str) -> None:
    ours, theirs = figures[table]["alpha"], reference[table]["alpha"]
    assert ours["alpha"] == pytest.approx(theirs["alpha"], rel=1e-8)
    # psych takes one degree of freedom more for people; ours are Feldt's.
    assert ours["ci_low"] == pytest.approx(theirs["low"], abs=2e-3)
    assert ours["ci_high"] == pytest.approx(theirs["high"], abs=2e-3)


def term_of(name: str) -> str:
    """Return our name of a term of R's."""
    for column in ("model", "gender", "age", "country", "education", "employement"):
        if name.startswith(column):
            return f"{column}[T.{name.removeprefix(column)}]"
    return "Intercept" if name == "(Intercept)" else name


@pytest.mark.parametrize("key", ["ols", "ols_demographics"])
def test_regressions(figures: dict[str, Numbers], reference: Numbers, key: str) -> None:
    ours, theirs = figures["study"][key], reference["study"][key]
    terms = [term_of(name) for name in theirs["terms"]]
    assert sorted(ours["coef"]) == sorted(terms)
    for figure in ("coef", "se", "t", "p"):
        check([ours[figure][term] for term in terms], theirs[figure])
    check(ours, {"r2": theirs["r2"], "n": theirs["n"]})


def test_some_outliers_were_left_out(figures: dict[str, Numbers]) -> None:
    ols = figures["study"]["ols"]
    assert sum(ols["outliers"].values()) == figures["study"]["n"] - ols["n"] > 0
    assert ols["on_fence"] > 0


def test_clustered_errors(figures: dict[str, Numbers], reference: Numbers) -> None:
    ours = figures["study"]["robust"]["cluster_ols"]["quality"]
    theirs = reference["study"]["cluster_ols"]
    check([*ours["coef"].values()], theirs["coef"])
    check([*ours["se"].values()], theirs["se"])


def test_cumulative_model(figures: dict[str, Numbers], reference: Numbers) -> None:
    ours = figures["study"]["robust"]["ordinal"]["completeness"]
    theirs = reference["study"]["ordinal"]
    # R was given (length - 30) / 10.
    scale = [1, 1, 1, 10]
    coef = [x * s for x, s in zip(ours["coef"].values(), scale, strict=True)]
    se = [x * s for x, s in zip(ours["se"].values(), scale, strict=True)]
    check(coef, theirs["coef"], {"rel": 1e-6, "abs": 1e-7})
    # statsmodels corrects for terms and thresholds as well, of which there are eight.
    n = ours["n"]
    correction = ((n - 1) / (n - 8)) ** 0.5
    check(se, [x * correction for x in theirs["se"]], {"rel": 1e-4})
    shift = 30 * ours["coef"]["rationale_length"]
    cuts = [x - shift for x in ours["thresholds"].values()]
    check(cuts, theirs["thresholds"], {"rel": 1e-6, "abs": 1e-6})
    assert ours["log_likelihood"] == pytest.approx(theirs["log_likelihood"], rel=1e-10)


def test_mixed_model_with_crossed_intercepts(
    figures: dict[str, Numbers], reference: Numbers
) -> None:
    ours = figures["study"]["robust"]["mixed"]["quality"]
    theirs = reference["study"]["mixed_crossed"]
    near = {"rel": 1e-5, "abs": 1e-6}
    check([*ours["coef"].values()], theirs["coef"], near)
    check([*ours["se"].values()], theirs["se"], near)
    spread = theirs["variances"]
    assert ours["item_variance"] == pytest.approx(spread["item"], rel=1e-4, abs=1e-6)
    assert ours["participant_variance"] == pytest.approx(spread["CASE"], rel=1e-4)
    assert ours["residual_variance"] == pytest.approx(spread["Residual"], rel=1e-5)


def test_modes(tables: dict[str, Any], figures: dict[str, Numbers]) -> None:
    paper = analyse(tables["gaps"], "paper").figures()
    both = figures["gaps"]
    assert paper == {**{k: v for k, v in both.items() if k != "robust"}, "mode": "paper"}
    assert [*both["kruskal"]] == list(CONSTRUCTS)
    assert both["conditions"] == ["CF:PosRationales", "MT:PosRationales", "MT+CF:RevRationales"]
