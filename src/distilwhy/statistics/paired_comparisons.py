"""Bradley-Terry strengths of things that were compared in pairs, with or without a covariate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from distilwhy.records import Record
from distilwhy.statistics.values import check_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Comparison:
    """Two things compared.

    Args:
        first: One of them.
        second: The other.
        score: From 0 to 1: 1 where the first wins, 0 where the second does, 0.5 for a tie; the mean
            where they were compared more than once.
        unit: What comparisons that depend on each other share, e.g. the question.
        covariate: What the first has more of than the second, e.g. words.
    """

    first: str
    second: str
    score: float
    unit: str
    covariate: float = 0.0


class Estimate(Record):
    """An estimate with its 95 % interval.

    Args:
        value: The estimate.
        ci_low: Lower end; ``None`` where there is no interval.
        ci_high: Upper end.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None


class Strengths(Record):
    """Bradley-Terry strengths.

    Args:
        strengths: By name, in log odds: one that is stronger by d is preferred with the probability
            1 / (1 + exp(-d)). They sum to zero. Empty where there is a reason instead.
        covariate: Log odds for one unit of the covariate; ``None`` where there is none.
        comparisons: Comparisons.
        units: Units that they are about.
        reason: Why there are no strengths; ``None`` where there are.
    """

    strengths: dict[str, Estimate] = Field(default_factory=dict)
    covariate: Estimate | None = None
    comparisons: int
    units: int
    reason: str | None = None


def bradley_terry(comparisons: Sequence[Comparison], *, covariate: bool = False) -> Strengths:
    """Return strengths by maximum likelihood (Bradley and Terry 1952), ties counting as half wins.

    With a covariate, log odds are the difference of strengths plus a slope times the covariate, so
    that strengths are those of things that are equal in it. Intervals are Wald's, with the
    cluster-robust variance over units (Liang and Zeger 1986), times units / (units - 1).

    Args:
        comparisons: The comparisons; none is of a thing with itself.
        covariate: Whether the covariate counts.

    Raises:
        DataError: When a score or covariate is not finite.
    """
    import numpy as np

    check_finite([comparison.score for comparison in comparisons], "scores")
    check_finite([comparison.covariate for comparison in comparisons], "covariates")
    names = list(dict.fromkeys(n for c in comparisons for n in (c.first, c.second)))
    units = {unit: place for place, unit in enumerate(dict.fromkeys(c.unit for c in comparisons))}
    told = {"comparisons": len(comparisons), "units": len(units)}
    if not comparisons:
        return Strengths(**told, reason="nothing was compared")
    design = np.zeros((len(comparisons), len(names) + covariate))
    for row, comparison in enumerate(comparisons):
        design[row, names.index(comparison.first)] += 1
        design[row, names.index(comparison.second)] -= 1
        if covariate:
            design[row, -1] = comparison.covariate
    scores = np.array([comparison.score for comparison in comparisons])
    # The last strength is zero at first; what is reported is centred.
    free = np.delete(design, len(names) - 1, axis=1)
    reason = _fault(free, scores, covariate)
    if reason is not None:
        return Strengths(**told, reason=reason)
    found = _maximum(free, scores)
    variance = _robust(free, scores, found, [units[c.unit] for c in comparisons], len(units))
    centre = np.zeros((len(names) + covariate, len(found)))
    centre[: len(names), : len(names) - 1] = np.eye(len(names))[:, :-1] - 1 / len(names)
    if covariate:
        centre[-1, -1] = 1
    values = centre @ found
    errors = None if variance is None else np.sqrt(np.diag(centre @ variance @ centre.T).clip(0))
    estimates = [_estimate(v, None if errors is None else errors[i]) for i, v in enumerate(values)]
    return Strengths(
        **told,
        strengths=dict(zip(names, estimates, strict=False)),
        covariate=estimates[-1] if covariate else None,
    )


def _estimate(value: float, error: float | None) -> Estimate:
    if error is None:
        return Estimate(value=float(value))
    return Estimate(
        value=float(value), ci_low=float(value - Z * error), ci_high=float(value + Z * error)
    )


def _fault(design: NDArray[Any], scores: NDArray[Any], covariate: bool) -> str | None:
    """Say why the likelihood has no single maximum, if so (Albert and Anderson 1984)."""
    import numpy as np
    from scipy.optimize import linprog

    if covariate and not design[:, -1].any():
        return "all that was compared is equal in the covariate"
    if np.linalg.matrix_rank(design) < design.shape[1]:
        what = " and the covariate" if covariate else ""
        return f"the comparisons do not tell all strengths{what} apart"
    # Rows as won and as lost: is there a direction in which none of them gets less likely?
    rows = np.unique(np.vstack([design[scores > 0], -design[scores < 1]]), axis=0)
    free = [(-1, 1)] * design.shape[1]
    best = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=free)
    if best.success and -best.fun > 1e-7:
        if covariate:
            return "strengths and the covariate explain every preference, so none has a finite size"
        return "one side won every comparison against the others, so no strength is finite"
    return None


def _maximum(design: NDArray[Any], scores: NDArray[Any]) -> NDArray[Any]:
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(at: NDArray[Any]) -> float:
        odds = design @ at
        return float(np.sum(np.logaddexp(0, odds) - scores * odds))

    def gradient(at: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(design.T @ (expit(design @ at) - scores))

    start = np.zeros(design.shape[1])
    options = {"gtol": 1e-9 * max(len(scores), 1)}
    done = minimize(
        loss,
        start,
        jac=gradient,
        hess=lambda at: _information(design, at),
        method="trust-exact",
        options=options,
    )
    # One more step of Newton's takes away what rounding of the loss hides from the search.
    step = np.linalg.solve(_information(design, done.x), gradient(done.x))
    return np.asarray(done.x - step)


def _information(design: NDArray[Any], at: NDArray[Any]) -> NDArray[Any]:
    import numpy as np
    from scipy.special import expit

    likely = expit(design @ at)
    return np.asarray(design.T @ (design * (likely * (1 - likely))[:, None]))


def _robust(
    design: NDArray[Any], scores: NDArray[Any], at: NDArray[Any], unit: Sequence[int], units: int
) -> NDArray[Any] | None:
    import numpy as np
    from scipy.special import expit

    if units < 2:
        return None
    sums = np.zeros((units, design.shape[1]))
    np.add.at(sums, list(unit), design * (scores - expit(design @ at))[:, None])
    bread = np.linalg.inv(_information(design, at))
    return np.asarray(bread @ (sums.T @ sums) @ bread * units / (units - 1))
