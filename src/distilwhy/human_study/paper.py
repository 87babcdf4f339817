"""The paper's analysis of its ratings, figure by figure; each row counts as independent."""

from __future__ import annotations

import math

import numpy as np

from distilwhy.human_study.npmv import Npmv, npmv
from distilwhy.human_study.quality import Regression, regression
from distilwhy.human_study.rank_tests import DunnPair, Kruskal, VdaPair, dunn, kruskal, vda
from distilwhy.human_study.ratings import CONSTRUCTS, QUALITY, Ratings
from distilwhy.human_study.reliability import Correlation, CronbachAlpha, correlations, cronbach
from distilwhy.records import Record
from distilwhy.statistics.assumptions import levene, shapiro_wilk

OUTCOMES = (*CONSTRUCTS, QUALITY)


class Mean(Record):
    """The mean rating of a condition.

    Args:
        mean: The mean; ``None`` where there are no ratings.
        se: Its standard error, ratings taken as independent; ``None`` for fewer than two.
        sd: Their standard deviation.
        n: Ratings.
        reason: Why a figure is missing; ``None`` where none is.
    """

    mean: float | None = None
    se: float | None = None
    sd: float | None = None
    n: int
    reason: str | None = None


class Levene(Record):
    """Levene's test by the median.

    Args:
        F: The statistic; ``None`` where it is not computable, like ``p``.
        df1: Conditions minus one.
        df2: Ratings minus conditions.
        p: Upper tail.
        reason: Why there is no result; ``None`` where there is one.
    """

    F: float | None = None
    df1: int
    df2: int
    p: float | None = None
    reason: str | None = None


class Shapiro(Record):
    """The Shapiro-Wilk test of one condition's ratings.

    Args:
        W: The statistic; ``None`` where it is not computable, like ``p``.
        p: Its p.
        n: Ratings.
        reason: Why there is no result; ``None`` where there is one.
    """

    W: float | None = None
    p: float | None = None
    n: int
    reason: str | None = None


class Description(Record):
    """What was rated, before any test.

    Args:
        means: By construct (and quality) and condition.
        alpha: Cronbach's alpha of the constructs.
        correlations: Of every two constructs.
    """

    means: dict[str, dict[str, Mean]]
    alpha: CronbachAlpha
    correlations: list[Correlation]


class PaperTests(Record):
    """The paper's tests.

    Args:
        shapiro: By construct (and quality) and condition.
        levene: By construct (and quality).
        kruskal: By construct.
        dunn: By construct, every pair of conditions.
        vda: By construct, every pair of conditions.
        npmv: All constructs at once.
        ols: Quality on condition and length, without outliers.
        ols_demographics: The same with demographics.
    """

    shapiro: dict[str, dict[str, Shapiro]]
    levene: dict[str, Levene]
    kruskal: dict[str, Kruskal]
    dunn: dict[str, list[DunnPair]]
    vda: dict[str, list[VdaPair]]
    npmv: Npmv
    ols: Regression
    ols_demographics: Regression


def describe(ratings: Ratings) -> Description:
    """Return means, Cronbach's alpha and correlations."""
    means = {
        name: dict(zip(ratings.conditions, map(mean, ratings.groups(name)), strict=True))
        for name in OUTCOMES
    }
    alpha = cronbach(ratings.values)
    return Description(means=means, alpha=alpha, correlations=correlations(ratings))


def mean(values: list[float]) -> Mean:
    """Return the mean of ratings with its standard error."""
    n = len(values)
    if not n:
        return Mean(n=0, reason="there are no ratings")
    if n == 1:
        return Mean(mean=values[0], n=1, reason="there is only one rating")
    sd = float(np.std(values, ddof=1))
    return Mean(mean=float(np.mean(values)), sd=sd, se=sd / math.sqrt(n), n=n)


def paper_tests(ratings: Ratings) -> PaperTests:
    """Run all of the paper's tests."""
    groups = {name: ratings.groups(name) for name in OUTCOMES}
    labels = ratings.conditions
    return PaperTests(
        shapiro={
            name: dict(zip(labels, map(_shapiro, groups[name]), strict=True)) for name in OUTCOMES
        },
        levene={name: _levene(groups[name]) for name in OUTCOMES},
        kruskal={name: kruskal(groups[name]) for name in CONSTRUCTS},
        dunn={name: dunn(labels, groups[name]) for name in CONSTRUCTS},
        vda={name: vda(labels, groups[name]) for name in CONSTRUCTS},
        npmv=npmv(ratings.values, ratings.condition),
        ols=regression(ratings),
        ols_demographics=regression(ratings, demographics=True),
    )


def _shapiro(values: list[float]) -> Shapiro:
    found = shapiro_wilk(values)
    return Shapiro(W=found.statistic, p=found.p, n=found.n, reason=found.reason)


def _levene(groups: list[list[float]]) -> Levene:
    found = levene(groups)
    return Levene(
        F=found.statistic,
        df1=found.df_between,
        df2=found.df_within,
        p=found.p,
        reason=found.reason,
    )
