"""Regressions whose errors know participants: linear, and by ranks of the scale (ordinal)."""

from __future__ import annotations

import warnings

import numpy as np
import statsmodels.api as sm
from pydantic import Field
from scipy import stats
from statsmodels.miscmodels.ordinal_model import OrderedModel

from distilwhy.human_study.quality import INTERCEPT, Design
from distilwhy.human_study.ratings import Indices, Numbers, Ratings
from distilwhy.records import Record

LEVEL = 0.95
LARGEST_LOG_ODDS = 15.0
"""Above it a condition tells some ratings apart wholly, and the likelihood has no maximum."""

Terms = dict[str, float]


class ClusterRegression(Record):
    """A linear regression with cluster-robust standard errors.

    Args:
        coef: Coefficients by term, named as in :class:`Regression`.
        se: Standard errors, clustered by participant.
        t: Coefficients over standard errors.
        p: Two-sided, of t with as many degrees of freedom as participants minus one.
        ci_low: Lower ends of 95 % intervals.
        ci_high: Upper ends.
        F: Wald test that no condition differs; empty or ``None`` where not computable, as the rest.
        F_df: Its first degrees of freedom, tested conditions.
        F_p: Its p.
        participants: Clusters.
        n: Rows.
        reference: The condition that others are compared with.
        dropped: Terms left out, with the reason.
        reason: Why there is no result; ``None`` where there is one.
    """

    coef: Terms = Field(default_factory=dict)
    se: Terms = Field(default_factory=dict)
    t: Terms = Field(default_factory=dict)
    p: Terms = Field(default_factory=dict)
    ci_low: Terms = Field(default_factory=dict)
    ci_high: Terms = Field(default_factory=dict)
    F: float | None = None
    F_df: int | None = None
    F_p: float | None = None
    participants: int
    n: int
    reference: str | None = None
    dropped: dict[str, str] = Field(default_factory=dict)
    reason: str | None = None


class OrdinalRegression(Record):
    """A cumulative logit model (proportional odds) with cluster-robust standard errors.

    Args:
        coef: Log odds of a higher rating by term; positive is a higher rating.
        se: Standard errors, clustered by participant; participants have no term of their own.
        z: Coefficients over standard errors.
        p: Two-sided, of the normal distribution.
        ci_low: Lower ends of 95 % intervals.
        ci_high: Upper ends.
        odds_ratio: The coefficients' exponentials.
        thresholds: Log odds of a rating at most so high, at the reference and an explanation of
            length 0, by rating.
        log_likelihood: At the maximum; like the rest empty or ``None`` where not computable.
        participants: Clusters.
        n: Rows.
        reference: The condition that others are compared with.
        reason: Why there is no result; ``None`` where there is one.
    """

    coef: Terms = Field(default_factory=dict)
    se: Terms = Field(default_factory=dict)
    z: Terms = Field(default_factory=dict)
    p: Terms = Field(default_factory=dict)
    ci_low: Terms = Field(default_factory=dict)
    ci_high: Terms = Field(default_factory=dict)
    odds_ratio: Terms = Field(default_factory=dict)
    thresholds: Terms = Field(default_factory=dict)
    log_likelihood: float | None = None
    participants: int
    n: int
    reference: str | None = None
    reason: str | None = None


def known_rows(ratings: Ratings, name: str) -> Indices:
    """Return the places of rows that have a rating and, where the table tells it, a length."""
    known = ~np.isnan(ratings.outcome(name))
    if ratings.length is not None:
        known &= ~np.isnan(ratings.length)
    return np.flatnonzero(known)


def unfit(ratings: Ratings, name: str, design: Design) -> str | None:
    """Return why no model with conditions can be fitted; ``None`` where one can be."""
    values = ratings.outcome(name)[design.rows]
    if not len(values):
        return "no row is whole"
    if np.ptp(values) == 0:
        return "all ratings are equal"
    if not any(term.startswith("model[") for term in design.names):
        return "there is only one condition with ratings"
    if len(values) <= len(design.names):
        return f"there are {len(values)} rows for {len(design.names)} terms"
    return None


def cluster_regression(ratings: Ratings, name: str) -> ClusterRegression:
    """Regress ratings on condition and length; errors are clustered by participant.

    Liang and Zeger (1986) with the correction G / (G - 1) · (n - 1) / (n - k) for G participants
    and k terms. With fewer than some 40 participants errors come out too small.

    Args:
        ratings: The ratings.
        name: The construct, or ``quality``.
    """
    rows = known_rows(ratings, name)
    people = len(np.unique(ratings.participant[rows]))
    design = Design(ratings, rows.tolist()) if len(rows) else None
    told = {"participants": people, "n": len(rows)}
    reason = "no row is whole" if design is None else unfit(ratings, name, design)
    if design is None or reason is not None:
        return ClusterRegression(**told, reason=reason)
    conditions = [place for place, t in enumerate(design.names) if t.startswith("model[")]
    if people <= len(conditions) + 1:
        return ClusterRegression(**told, reason=f"there are only {people} participants")
    groups = ratings.participant[rows]
    fit = sm.OLS(ratings.outcome(name)[rows], design.matrix).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    covariance = np.asarray(fit.cov_params())[np.ix_(conditions, conditions)]
    if not _definite(covariance):
        return ClusterRegression(**told, reason="ratings do not vary within conditions")
    effect = np.asarray(fit.params)[conditions]
    f = float(effect @ np.linalg.solve(covariance, effect)) / len(conditions)
    low, high = np.asarray(fit.conf_int(1 - LEVEL)).T
    figures = {"coef": fit.params, "se": fit.bse, "t": fit.tvalues, "p": fit.pvalues}
    figures |= {"ci_low": low, "ci_high": high}
    return ClusterRegression(
        **told,
        **{key: _by_term(design.names, numbers) for key, numbers in figures.items()},
        F=f,
        F_df=len(conditions),
        F_p=float(stats.f.sf(f, len(conditions), people - 1)),
        reference=design.reference,
        dropped=design.dropped,
    )


def ordinal_regression(ratings: Ratings, name: str) -> OrdinalRegression:
    """Fit a cumulative logit model (McCullagh 1980) of ratings on condition and length.

    Args:
        ratings: The ratings.
        name: The construct.
    """
    rows = known_rows(ratings, name)
    told = {"participants": len(np.unique(ratings.participant[rows])), "n": len(rows)}
    design = Design(ratings, rows.tolist()) if len(rows) else None
    reason = "no row is whole" if design is None else unfit(ratings, name, design)
    if design is not None and reason is None and told["participants"] < 2:
        reason = "there is only one participant"
    if design is None or reason is not None:
        return OrdinalRegression(**told, reason=reason)
    values = ratings.outcome(name)[rows].astype(int)
    names = [term for term in design.names if term != INTERCEPT]
    # Length is many times a condition's 0 or 1; in like units the maximum is found surely.
    columns = design.matrix[:, 1:]
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    fit = _fit_ordinal(values, (columns - centre) / scale, ratings.participant[rows])
    if fit is None:
        reason = "no maximum was found: a condition or the length tells some ratings apart wholly"
        return OrdinalRegression(**told, reason=reason)
    params, errors, cuts, likelihood = fit
    coef, se = params / scale, errors / scale
    if np.abs(params).max() > LARGEST_LOG_ODDS:
        reason = "a condition or the length tells some ratings apart wholly"
        return OrdinalRegression(**told, reason=reason)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * se
    figures = {"coef": coef, "se": se, "z": coef / se, "p": 2 * stats.norm.sf(np.abs(coef / se))}
    figures |= {"ci_low": coef - reach, "ci_high": coef + reach, "odds_ratio": np.exp(coef)}
    categories = [str(value) for value in np.unique(values)[:-1]]
    return OrdinalRegression(
        **told,
        **{key: _by_term(names, numbers) for key, numbers in figures.items()},
        thresholds=_by_term(categories, cuts + float(coef @ centre)),
        log_likelihood=likelihood,
        reference=design.reference,
    )


def _fit_ordinal(
    values: Indices, columns: Numbers, groups: Indices
) -> tuple[Numbers, Numbers, Numbers, float] | None:
    """Return coefficients, their errors, thresholds, log-likelihood; ``None`` without a maximum."""
    with warnings.catch_warnings():
        # What statsmodels warns of (no convergence, a singular Hessian) is looked at below.
        warnings.simplefilter("ignore")
        model = OrderedModel(values, columns, distr="logit")
        kinds = {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
        try:
            fit = model.fit(method="bfgs", disp=0, maxiter=500, gtol=1e-8, **kinds)
        except (np.linalg.LinAlgError, ValueError):
            return None
        params, k = np.asarray(fit.params), columns.shape[1]
        errors = np.asarray(fit.bse)[:k]
        slope = np.abs(model.score(params)).max()
    if not (np.isfinite(params).all() and np.isfinite(errors).all() and (errors > 0).all()):
        return None
    if slope > 1e-3 * len(values):
        return None
    cuts = np.asarray(model.transform_threshold_params(params))[1:-1]
    return params[:k], errors, cuts, float(fit.llf)


def _definite(covariance: Numbers) -> bool:
    eigenvalues = np.linalg.eigvalsh(covariance)
    return bool(eigenvalues[0] > 1e-12 * max(float(eigenvalues[-1]), 1e-12))


def _by_term(names: list[str], numbers: Numbers) -> Terms:
    return dict(zip(names, map(float, numbers), strict=True))
