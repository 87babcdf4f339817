"""Quality, the mean of five ratings, explained by condition, length and demographics (OLS)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import statsmodels.api as sm
from pydantic import Field

from distilwhy.human_study.ratings import DEMOGRAPHICS, NOT_STATED, QUALITY, Numbers, Ratings
from distilwhy.records import Record
from distilwhy.statistics.outliers import outliers, rstatix_outliers

INTERCEPT = "Intercept"
LENGTH = "rationale_length"
REFERENCES = {"gender": "male", "country": "united kingdom"}
"""The paper's reference categories; of other columns the first in alphabetical order."""
DEPENDENT = 1e-7
"""Share of a column's length that others leave below which it counts as their sum, as in R's lm."""


class Regression(Record):
    """A linear regression by ordinary least squares.

    Args:
        coef: Coefficients by term; ``Intercept``, ``model[T.LABEL]`` (a condition minus the
            reference), ``rationale_length``, ``gender[T.CATEGORY]`` ...
        se: Their standard errors.
        t: Coefficients over standard errors.
        p: Two-sided, of Student's t distribution.
        r2: Share of variance explained; like the rest empty or ``None`` where not computable.
        r2_adj: The same adjusted for the number of terms.
        F: The test of all terms but the intercept.
        F_p: Its p.
        df: Residual degrees of freedom.
        n: Rows.
        reference: The condition that others are compared with.
        references: Of each demographic column, the category others are compared with.
        outliers: By condition, rows left out as outliers beforehand.
        on_fence: Those of them that lie on a fence and are outliers in R by rounding alone.
        missing: Rows left out because a value is missing.
        dropped: Terms left out, with the reason.
        reason: Why there is no result; ``None`` where there is one.
    """

    coef: dict[str, float] = Field(default_factory=dict)
    se: dict[str, float] = Field(default_factory=dict)
    t: dict[str, float] = Field(default_factory=dict)
    p: dict[str, float] = Field(default_factory=dict)
    r2: float | None = None
    r2_adj: float | None = None
    F: float | None = None
    F_p: float | None = None
    df: int | None = None
    n: int
    reference: str | None = None
    references: dict[str, str] = Field(default_factory=dict)
    outliers: dict[str, int] = Field(default_factory=dict)
    on_fence: int = 0
    missing: int = 0
    dropped: dict[str, str] = Field(default_factory=dict)
    reason: str | None = None


class Design:
    """Columns of a linear model, each under the name of its term.

    Args:
        ratings: The ratings.
        rows: Places of the rows that go in.
        demographics: Whether demographics go in too.
        length: Whether the explanation's length goes in.
    """

    def __init__(
        self, ratings: Ratings, rows: Sequence[int], demographics: bool = False, length: bool = True
    ) -> None:
        self.rows = np.array(rows, dtype=int)
        self.reference: str | None = None
        self.references: dict[str, str] = {}
        self.dropped: dict[str, str] = {}
        self._names: list[str] = []
        self._columns: list[Numbers] = []
        self._basis: list[Numbers] = []
        self._add(INTERCEPT, np.ones(len(self.rows)))
        self._add_conditions(ratings)
        if length and ratings.length is not None:
            self._add(LENGTH, ratings.length[self.rows])
        for name in DEMOGRAPHICS if demographics else ():
            if name in ratings.demographics:
                self._add_categories(name, [ratings.demographics[name][row] for row in self.rows])

    @property
    def names(self) -> list[str]:
        """The terms."""
        return self._names

    @property
    def matrix(self) -> Numbers:
        """The columns, shape ``(rows, terms)``."""
        return np.column_stack(self._columns)

    def _add_conditions(self, ratings: Ratings) -> None:
        condition = ratings.condition[self.rows]
        present = [n for n in range(len(ratings.conditions)) if (condition == n).any()]
        for place, number in enumerate(present):
            label = ratings.conditions[number]
            if place:
                self._add(f"model[T.{label}]", (condition == number).astype(float))
            else:
                self.reference = label

    def _add_categories(self, name: str, cells: Sequence[str]) -> None:
        categories = sorted(
            set(cells), key=lambda cell: (cell == NOT_STATED, cell.casefold(), cell)
        )
        if len(categories) < 2:
            self.dropped[name] = "there is only one category"
            return
        wished = REFERENCES.get(name)
        reference = next((c for c in categories if c.casefold() == wished), categories[0])
        self.references[name] = reference
        for category in categories:
            if category != reference:
                column = np.array([cell == category for cell in cells], dtype=float)
                self._add(f"{name}[T.{category}]", column)

    def _add(self, name: str, column: Numbers) -> None:
        """Add a column unless those before it make it up, as R's ``lm`` does."""
        rest = column
        for _ in range(2):  # once leaves rounding of the order of what was taken out
            for base in self._basis:
                rest = rest - (base @ rest) * base
        left = float(np.linalg.norm(rest))
        if left <= DEPENDENT * float(np.linalg.norm(column)):
            self.dropped[name] = "the terms before it make it up"
            return
        self._names.append(name)
        self._columns.append(column)
        self._basis.append(rest / left)


def regression(ratings: Ratings, demographics: bool = False) -> Regression:
    """Regress quality on condition and length of the explanation, outliers left out.

    Outliers are those that rstatix finds in quality, in each condition. Conditions are treatment
    coded, the first in order being the reference; so are demographics, all as categories.

    Args:
        ratings: The ratings.
        demographics: Whether demographics are terms too.
    """
    quality = ratings.quality
    known = ~np.isnan(quality)
    counts, kept, on_fence = {}, [], 0
    for number, label in enumerate(ratings.conditions):
        places = np.flatnonzero(known & (ratings.condition == number))
        values = quality[places].tolist()
        out = np.array(rstatix_outliers(values), dtype=bool)
        on_fence += int(out.sum()) - sum(outliers(values))
        counts[label] = int(out.sum())
        kept += places[~out].tolist()
    known_length = [row for row in sorted(kept) if _has_length(ratings, row)]
    told = {
        "outliers": counts,
        "on_fence": on_fence,
        "missing": int((~known).sum()) + len(kept) - len(known_length),
        "n": len(known_length),
    }
    if ratings.length is None:
        return Regression(**told, reason=f"the table has no column {LENGTH!r}")
    if demographics and not ratings.demographics:
        return Regression(**told, reason="the table has no demographic column")
    return _fit(ratings, known_length, demographics, told)


def _has_length(ratings: Ratings, row: int) -> bool:
    return ratings.length is None or not np.isnan(ratings.length[row])


def _fit(
    ratings: Ratings, rows: Sequence[int], demographics: bool, told: dict[str, object]
) -> Regression:
    if not rows:
        return Regression.model_validate({**told, "reason": "no row is whole"})
    design = Design(ratings, rows, demographics)
    told |= {"reference": design.reference, "references": design.references}
    told |= {"dropped": design.dropped}
    values = ratings.outcome(QUALITY)[design.rows]
    reason = None
    if len(rows) <= len(design.names):
        reason = f"there are {len(rows)} rows for {len(design.names)} terms"
    elif np.ptp(values) == 0:
        reason = "quality is the same in all rows"
    if reason is not None:
        return Regression.model_validate({**told, "reason": reason})
    fit = sm.OLS(values, design.matrix).fit()
    if fit.ssr <= 1e-20 * float(values @ values):
        return Regression.model_validate({**told, "reason": "the terms explain quality wholly"})
    terms = {
        name: dict(zip(design.names, map(float, numbers), strict=True))
        for name, numbers in (
            ("coef", fit.params),
            ("se", fit.bse),
            ("t", fit.tvalues),
            ("p", fit.pvalues),
        )
    }
    has_terms = len(design.names) > 1
    return Regression.model_validate(
        {
            **told,
            **terms,
            "r2": float(fit.rsquared),
            "r2_adj": float(fit.rsquared_adj),
            "F": float(fit.fvalue) if has_terms else None,
            "F_p": float(fit.f_pvalue) if has_terms else None,
            "df": int(fit.df_resid),
        }
    )
