"""Every statistic against R's own of the same data (r/reference.R made r/reference.json)."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import pytest

from distilwhy.statistics.anova import anova, tukey_hsd
from distilwhy.statistics.assumptions import levene, shapiro_wilk
from distilwhy.statistics.effects import hedges_g, vargha_delaney
from distilwhy.statistics.multiplicity import adjust
from distilwhy.statistics.outliers import fences, outliers
from distilwhy.statistics.resampling import group_permutation, paired_permutation

FOLDER = Path(__file__).parent / "r"
DATA = json.loads((FOLDER / "data.json").read_text())
R = json.loads((FOLDER / "reference.json").read_text())


def close(value: float):
    return pytest.approx(value, rel=1e-8, abs=1e-8)


def cells(rows, *names):
    found: dict = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row["value"])
    return found


@pytest.mark.parametrize("name", DATA["designs"])
def test_anova(name):
    rows, told = DATA["designs"][name], R["designs"][name]
    factors = {key: [row[key] for row in rows] for key in ("condition", "size")}
    result = anova([row["value"] for row in rows], factors)
    assert [*(line.effect for line in result.effects), "Residuals"] == told["effects"]
    assert [*(line.df_num for line in result.effects), result.residual_df] == told["df"]
    assert [*(x.sum_sq for x in result.effects), result.residual_sum_sq] == close(told["sum_sq"])
    assert [line.F for line in result.effects] == close(told["F"][:-1])
    assert [line.p for line in result.effects] == close(told["p"][:-1])
    # rstatix rounds to three digits; one effect alone stands there as a plain number.
    ges = told["ges"] if isinstance(told["ges"], list) else [told["ges"]]
    assert [line.ges for line in result.effects] == pytest.approx(ges, abs=5.01e-4)


@pytest.mark.parametrize("name", DATA["designs"])
def test_tukey(name):
    rows, told = DATA["designs"][name], R["designs"][name]["tukey"]
    for size, part in groupby(rows, key=lambda row: row["size"]):
        groups = {key: values for (key,), values in cells(list(part), "condition").items()}
        for pair in tukey_hsd(groups):
            # R subtracts the earlier level from the later one.
            (theirs,) = [x for x in told[size] if x["pair"] == f"{pair.b}-{pair.a}"]
            assert (pair.difference, pair.p_adj) == close((-theirs["difference"], theirs["p"]))
            assert (pair.ci_low, pair.ci_high) == close((-theirs["high"], -theirs["low"]))


@pytest.mark.parametrize("name", DATA["designs"])
def test_assumptions_and_outliers_by_cell(name):
    rows, told = DATA["designs"][name], R["designs"][name]
    groups = cells(rows, "condition", "size")
    result = levene(list(groups.values()))
    assert (result.statistic, result.p) == close((told["levene"]["F"], told["levene"]["p"]))
    assert [result.df_between, result.df_within] == told["levene"]["df"]
    for (condition, size), values in groups.items():
        theirs, ours = told["shapiro"][f"{condition} | {size}"], shapiro_wilk(values)
        assert (ours.statistic, ours.p) == close((theirs["w"], theirs["p"])), (condition, size)
    flagged = {key: iter(outliers(values)) for key, values in groups.items()}
    found = [i for i, row in enumerate(rows) if next(flagged[row["condition"], row["size"]])]
    assert found == told["outliers"]


@pytest.mark.parametrize("name", DATA["vectors"])
def test_vectors(name):
    values, told = DATA["vectors"][name], R["vectors"][name]
    ours = shapiro_wilk(values)
    assert (ours.statistic, ours.p) == close((told["w"], told["p"]))
    limits = fences(values)
    assert [limits.q1, limits.q3] == close(told["quartiles"])
    assert [i for i, out in enumerate(outliers(values)) if out] == told["outliers"]


@pytest.mark.parametrize("name", DATA["pairs"])
def test_pairs(name):
    (first, second), told = DATA["pairs"][name], R["pairs"][name]
    assert vargha_delaney(first, second).a == close(told["a"])
    g = hedges_g(first, second)
    theirs = told["hedges"]
    assert (g.g, g.ci_low, g.ci_high) == close((theirs["g"], theirs["low"], theirs["high"]))
    assert group_permutation(first, second).p == close(told["splits"])
    if len(first) == len(second):
        differences = [a - b for a, b in zip(first, second, strict=True)]
        assert paired_permutation(differences).p == close(told["flips"])


@pytest.mark.parametrize("method", R["p"])
def test_corrections(method):
    assert adjust(DATA["p"], method) == close(R["p"][method])
