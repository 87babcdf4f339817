"""The interval of a difference between two conditions, over seeds and test questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from distilwhy.records import Record
from distilwhy.statistics.resampling import RESAMPLES, resampled_rows
from distilwhy.statistics.values import rounding_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAIL = 0.025
"""Share of the draws beyond each end of the interval."""

Over = Literal["seeds and questions", "seeds", "questions"]


class Interval(Record):
    """An interval of the difference of two conditions' mean accuracies.

    Args:
        low: Lower end of the 95 % interval; ``None`` where it is not computable.
        high: Its upper end.
        over: What was drawn anew: seeds, test questions, or both.
        standard_error: Of the difference.
        df: Degrees of freedom of the t distribution used, from the number of seeds; ``None`` with
            one seed, where the interval says nothing of others.
        percentile_low: The bootstrap's own 2.5 % point, too far in with few seeds.
        percentile_high: Its 97.5 % point.
        reason: Why there is no interval; ``None`` where there is one.
    """

    low: float | None = None
    high: float | None = None
    over: Over
    standard_error: float | None = None
    df: float | None = None
    percentile_low: float | None = None
    percentile_high: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Side:
    """The runs of one condition in a comparison.

    Args:
        accuracies: Of the runs, shares.
        drawn: Their accuracies on questions drawn anew, runs by draws, the same draws on both
            sides; ``None`` where predictions are not known.
    """

    accuracies: Sequence[float]
    drawn: NDArray[Any] | None = None


def interval(first: Side, second: Side, paired: bool, seed: int = 0) -> Interval:
    """Return the interval of a difference by a bootstrap over seeds and test questions.

    Seeds and questions cross: every seed answers the same questions. So both are drawn with
    replacement, the same questions for all (Owen 2007, the pigeonhole bootstrap). A bootstrap of n
    seeds has a variance too small by (n - 1) / n and tails too thin; the standard error is
    corrected for the first, a t distribution with the seeds' degrees of freedom for the second
    (Hesterberg 2015). Over seeds alone this is the t interval.

    Args:
        first: The first condition's runs.
        second: The second condition's.
        paired: Whether the runs of both belong together one by one, as those of one seed do.
        seed: Seed of the draws of seeds.
    """
    m, n = len(first.accuracies), len(second.accuracies)
    questions = first.drawn is not None and second.drawn is not None
    if min(m, n) < 2:
        if m == n and first.drawn is not None and second.drawn is not None:
            return _over_questions(first.drawn[0] - second.drawn[0])
        return Interval(over="seeds", reason="one run of a condition does not tell how runs vary")
    return _over_seeds(first, second, paired, questions, seed)


def _over_questions(drawn: NDArray[Any]) -> Interval:
    """Return the interval of two single runs; it says nothing of other seeds."""
    import numpy as np

    if np.ptp(drawn) == 0:
        return Interval(over="questions", reason="no two draws differ")
    low, high = (float(end) for end in np.quantile(drawn, [TAIL, 1 - TAIL]))
    return Interval(
        low=low,
        high=high,
        over="questions",
        standard_error=float(np.std(drawn)),
        percentile_low=low,
        percentile_high=high,
    )


def _over_seeds(first: Side, second: Side, paired: bool, questions: bool, seed: int) -> Interval:
    import numpy as np
    from scipy import stats

    one, other = np.asarray(first.accuracies), np.asarray(second.accuracies)
    columns = (_columns(first), _columns(second))
    # Variance between seeds, what a bootstrap of so few makes too small of it, degrees of freedom.
    if paired:
        drawn = resampled_rows(columns[0] - columns[1], seed)
        between, df = float(np.var(one - other, ddof=1)) / len(one), float(len(one) - 1)
        lost = between / len(one)
    else:
        drawn = resampled_rows(columns[0], seed) - resampled_rows(columns[1], seed + 1)
        parts = [float(np.var(x, ddof=1)) / len(x) for x in (one, other)]
        between, lost = sum(parts), parts[0] / len(one) + parts[1] / len(other)
        squares = parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(other) - 1)
        df = between**2 / squares if squares else float(min(len(one), len(other)) - 1)
    over: Over = "seeds and questions" if questions else "seeds"
    variance = float(np.var(drawn)) + lost if questions else between
    if variance <= rounding_of([*first.accuracies, *second.accuracies]) ** 2:
        return Interval(over=over, reason="no two draws differ")
    error = math.sqrt(variance)
    difference, reach = float(one.mean() - other.mean()), float(stats.t.ppf(1 - TAIL, df)) * error
    low, high = (float(end) for end in np.quantile(drawn, [TAIL, 1 - TAIL]))
    return Interval(
        # No two accuracies are further apart than 100 points.
        low=max(difference - reach, -1.0),
        high=min(difference + reach, 1.0),
        over=over,
        standard_error=error,
        df=df,
        percentile_low=low,
        percentile_high=high,
    )


def _columns(side: Side) -> NDArray[Any]:
    """Return accuracies by draws; without draws of questions, the same in every column."""
    import numpy as np

    if side.drawn is not None:
        return side.drawn
    return np.repeat(np.asarray(side.accuracies, dtype=float)[:, None], RESAMPLES, axis=1)
