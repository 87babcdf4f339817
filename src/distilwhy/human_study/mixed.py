"""A linear mixed model with intercepts of participants and of explanations, by REML.

statsmodels' MixedLM takes 14 to 25 seconds for the crossed intercepts of a study of 1,400 ratings
and stops at different maxima by optimiser. With nothing but intercepts the profiled criterion is a
few lines and takes milliseconds; the tests compare it with MixedLM and with R's lme4.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field
from scipy import linalg, optimize, stats

from distilwhy.human_study.clustered import known_rows, unfit
from distilwhy.human_study.quality import Design
from distilwhy.human_study.ratings import Indices, Numbers, Ratings
from distilwhy.records import Record

LEVEL = 0.95
MOST_MEETINGS = 20_000_000
STARTS = (1.0, 0.3)

Terms = dict[str, float]


class MixedModel(Record):
    """A linear mixed model.

    Args:
        coef: Coefficients by term, named as in :class:`Regression`.
        se: Their standard errors.
        z: Coefficients over standard errors.
        p: Two-sided, of the normal distribution.
        ci_low: Lower ends of 95 % intervals.
        ci_high: Upper ends.
        chi2: Wald test that no condition differs.
        chi2_df: Its degrees of freedom, tested conditions.
        chi2_p: Its p.
        participant_variance: Variance of participants' intercepts.
        item_variance: Variance of explanations' intercepts; ``None`` where these are no part.
        item_reason: Why they are no part; ``None`` where they are.
        residual_variance: What is left.
        icc: Share of the variance that lies between participants.
        participants: Participants.
        n: Rows.
        reference: The condition that others are compared with.
        dropped: Terms left out, with the reason.
        reason: Why there is no result; ``None`` where there is one.
    """

    coef: Terms = Field(default_factory=dict)
    se: Terms = Field(default_factory=dict)
    z: Terms = Field(default_factory=dict)
    p: Terms = Field(default_factory=dict)
    ci_low: Terms = Field(default_factory=dict)
    ci_high: Terms = Field(default_factory=dict)
    chi2: float | None = None
    chi2_df: int | None = None
    chi2_p: float | None = None
    participant_variance: float | None = None
    item_variance: float | None = None
    item_reason: str | None = None
    residual_variance: float | None = None
    icc: float | None = None
    participants: int
    n: int
    reference: str | None = None
    dropped: dict[str, str] = Field(default_factory=dict)
    reason: str | None = None


class Reml:
    """The profiled REML criterion of a model with crossed random intercepts (Bates et al. 2015).

    Args:
        values: Ratings, shape ``(rows,)``.
        columns: Fixed effects, shape ``(rows, terms)``.
        groups: For each kind of intercept the group's number from 0, shape ``(rows,)``.
    """

    def __init__(self, values: Numbers, columns: Numbers, groups: list[Indices]) -> None:
        self.n, self.terms = columns.shape
        both = np.column_stack([columns, values])
        self._cross = both.T @ both
        # A kind's block of the equations is diagonal. The larger one is eliminated, which leaves a
        # matrix of the smaller one's size.
        self._order = sorted(range(len(groups)), key=lambda kind: -int(groups[kind].max()))
        kept = [groups[kind] for kind in self._order]
        self._sizes = [np.bincount(group).astype(float) for group in kept]
        self._sums = [np.zeros((len(size), both.shape[1])) for size in self._sizes]
        for sums, group in zip(self._sums, kept, strict=True):
            np.add.at(sums, group, both)
        self._meetings = np.zeros([len(size) for size in self._sizes])
        np.add.at(self._meetings, tuple(kept), 1)

    def solve(self, ratios: Numbers) -> tuple[float, Numbers, Numbers, float]:
        """Return the criterion, coefficients, their covariance over variance, and the variance.

        Args:
            ratios: Standard deviation of each kind of intercept over that of the residuals.
        """
        ratios = ratios[self._order]
        diagonal = 1 + ratios[0] ** 2 * self._sizes[0]
        right = ratios[0] * self._sums[0]
        explained = right.T @ (right / diagonal[:, None])
        log_determinant = float(np.log(diagonal).sum())
        if len(ratios) > 1:
            mixed = ratios[0] * ratios[1] * self._meetings
            inner = np.diag(1 + ratios[1] ** 2 * self._sizes[1])
            factor = linalg.cholesky(inner - mixed.T @ (mixed / diagonal[:, None]), lower=True)
            rest = ratios[1] * self._sums[1] - mixed.T @ (right / diagonal[:, None])
            solved = linalg.solve_triangular(factor, rest, lower=True)
            explained = explained + solved.T @ solved
            log_determinant += 2 * float(np.log(np.diag(factor)).sum())
        left = self._cross - explained
        information, right_side = left[:-1, :-1], left[:-1, -1]
        covariance = np.linalg.inv(information)
        coef = covariance @ right_side
        freedom = self.n - self.terms
        variance = float(left[-1, -1] - coef @ right_side) / freedom
        criterion = (
            log_determinant
            + float(np.linalg.slogdet(information)[1])
            + freedom * (1 + math.log(2 * math.pi * max(variance, 1e-300)))
        )
        return criterion, coef, covariance, variance

    def maximise(self) -> Numbers:
        """Return the ratios at which the criterion is smallest."""
        kinds = len(self._order)
        found = [
            optimize.minimize(
                lambda ratios: self.solve(ratios)[0],
                np.full(kinds, start),
                method="L-BFGS-B",
                bounds=[(0.0, None)] * kinds,
                options={"ftol": 1e-14, "gtol": 1e-7},
            )
            for start in STARTS
        ]
        return np.asarray(min(found, key=lambda result: float(result.fun)).x)


def mixed_model(ratings: Ratings, name: str) -> MixedModel:
    """Fit ratings on condition and length with intercepts of participants and explanations.

    Explanations have intercepts where some were rated more than once; else their variance is part
    of the residual.

    Args:
        ratings: The ratings.
        name: The construct, or ``quality``.
    """
    rows = known_rows(ratings, name)
    _, participant = np.unique(ratings.participant[rows], return_inverse=True)
    people = len(np.unique(participant))
    told = {"participants": people, "n": len(rows)}
    design = Design(ratings, rows.tolist()) if len(rows) else None
    reason = "no row is whole" if design is None else unfit(ratings, name, design)
    if reason is None and (people < 2 or people == len(rows)):
        reason = "there is only one participant" if people < 2 else "no participant rated twice"
    if design is None or reason is not None:
        return MixedModel(**told, reason=reason)
    groups = [participant]
    item, item_reason = _items(ratings, rows, people)
    if item is not None:
        groups.append(item)
    values = ratings.outcome(name)[rows]
    centre = float(values.mean())
    reml = Reml(values - centre, design.matrix, groups)
    ratios = reml.maximise()
    _, coef, covariance, variance = reml.solve(ratios)
    if variance <= 1e-12 * float(values.var()):
        return MixedModel(**told, reason="the terms explain all ratings wholly")
    coef[0] += centre
    spread = [float(ratio**2 * variance) for ratio in ratios]
    return MixedModel(
        **told,
        **_figures(design.names, coef, covariance * variance),
        participant_variance=spread[0],
        item_variance=spread[1] if item is not None else None,
        item_reason=item_reason,
        residual_variance=variance,
        icc=spread[0] / (sum(spread) + variance),
        reference=design.reference,
        dropped=design.dropped,
    )


def _items(ratings: Ratings, rows: Indices, people: int) -> tuple[Indices | None, str | None]:
    """Return each row's explanation, or ``None`` and why explanations get no intercepts."""
    if ratings.item is None:
        return None, "the table has no column 'rationale_id'"
    distinct, item = np.unique(ratings.item[rows], return_inverse=True)
    if len(distinct) == len(rows):
        return None, "no explanation was rated more than once"
    if len(distinct) * people > MOST_MEETINGS:
        return None, f"explanations times participants are more than {MOST_MEETINGS:,}"
    return item, None


def _figures(names: list[str], coef: Numbers, covariance: Numbers) -> dict[str, object]:
    se = np.sqrt(np.diag(covariance))
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * se
    numbers = {"coef": coef, "se": se, "z": coef / se, "p": 2 * stats.norm.sf(np.abs(coef / se))}
    numbers |= {"ci_low": coef - reach, "ci_high": coef + reach}
    places = [place for place, term in enumerate(names) if term.startswith("model[")]
    effect = coef[places]
    chi2 = float(effect @ np.linalg.solve(covariance[np.ix_(places, places)], effect))
    by_term = {
        key: dict(zip(names, map(float, column), strict=True)) for key, column in numbers.items()
    }
    return {
        **by_term,
        "chi2": chi2,
        "chi2_df": len(places),
        "chi2_p": float(stats.chi2.sf(chi2, len(places))),
    }
