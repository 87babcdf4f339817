"""Ratings at equal length: what is left of a difference when length is taken out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pydantic import Field

from distilwhy.records import Record
from distilwhy.statistics.paired_comparisons import Estimate
from distilwhy.statistics.values import all_equal, check_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
REFERENCE_WORDS = 25.0
"""Length at which a predictor is rated where no teacher's texts say how long they are."""


@dataclass(frozen=True)
class Sized:
    """A score of one explanation.

    Args:
        example_id: The example.
        words: Words of the explanation.
        score: The score.
    """

    example_id: str
    words: int
    score: float


class AtEqualLength(Record):
    """Mean scores of several predictors as if all explanations were equally long.

    Args:
        raw: Mean score by predictor.
        adjusted: Mean score by predictor at the mean length of all explanations; empty where there
            is a reason instead.
        slope: Points for ten words more, in explanations of the same predictor.
        words: The mean length.
        reason: Why nothing is adjusted; ``None`` where something is.
    """

    raw: dict[str, float]
    adjusted: dict[str, Estimate] = Field(default_factory=dict)
    slope: Estimate | None = None
    words: float
    reason: str | None = None


def at_length(scores: Sequence[Sized], words: float) -> Estimate | str:
    """Return the mean score that explanations of a length have, by a straight line (OLS).

    The interval is that of the line at this place (t), with the residuals' variance.

    Args:
        scores: Scores of one predictor's explanations.
        words: The length.

    Returns:
        The estimate, or why there is none: one sentence's clause.
    """
    import numpy as np
    from scipy.stats import t

    lengths = [score.words for score in scores]
    values = [score.score for score in scores]
    check_finite(values, "scores")
    if len(scores) < 3:
        return "fewer than three explanations are rated"
    if all_equal(lengths):
        return "all explanations are equally long, so nothing tells what length does"
    if not min(lengths) <= words <= max(lengths):
        return (
            f"explanations have {min(lengths)} to {max(lengths)} words, so nothing is known of "
            f"{words:g} words"
        )
    x, y = np.asarray(lengths, dtype=float), np.asarray(values)
    away = x - x.mean()
    slope = float(away @ y / (away @ away))
    left = y - y.mean() - slope * away
    variance = float(left @ left / (len(y) - 2))
    value = float(y.mean() + slope * (words - x.mean()))
    spread = variance * (1 / len(y) + (words - x.mean()) ** 2 / float(away @ away))
    half = float(t.ppf((1 + LEVEL) / 2, len(y) - 2)) * spread**0.5
    return Estimate(value=value, ci_low=value - half, ci_high=value + half)


def at_equal_length(groups: Mapping[str, Sequence[Sized]]) -> AtEqualLength:
    """Return predictors' mean scores at the same length (analysis of covariance).

    Scores are regressed on predictor and words, with one slope for all; it comes from differences
    within a predictor, so a predictor that is better for other reasons keeps its lead. Intervals
    are cluster-robust over examples (Liang and Zeger 1986, times examples / (examples - 1), by t).

    Args:
        groups: Scores by predictor, each of one example or more; empty ones are left out.
    """
    import numpy as np
    from scipy.stats import t

    names = [name for name in groups if groups[name]]
    rows = [(place, score) for place, name in enumerate(names) for score in groups[name]]
    check_finite([score.score for _, score in rows], "scores")
    words = np.array([score.words for _, score in rows], dtype=float)
    y = np.array([score.score for _, score in rows])
    belongs = np.array([[float(place == own) for own in range(len(names))] for place, _ in rows])
    told: dict[str, Any] = {
        "raw": {name: fmean(score.score for score in groups[name]) for name in names},
        "words": float(words.mean()) if rows else 0.0,
    }
    if not rows:
        return AtEqualLength(**told, reason="nothing is rated")
    design = np.column_stack([belongs, words - words.mean()])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        reason = "explanations of a predictor are equally long, so nothing tells what length does"
        return AtEqualLength(**told, reason=reason)
    examples = {name: n for n, name in enumerate(dict.fromkeys(s.example_id for _, s in rows))}
    if len(examples) <= 2:
        return AtEqualLength(**told, reason="fewer than three examples are rated")
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ y
    sums: NDArray[Any] = np.zeros((len(examples), design.shape[1]))
    np.add.at(
        sums, [examples[s.example_id] for _, s in rows], design * (y - design @ found)[:, None]
    )
    variance = inverse @ (sums.T @ sums) @ inverse * len(examples) / (len(examples) - 1)
    half = np.sqrt(np.diag(variance)) * float(t.ppf((1 + LEVEL) / 2, len(examples) - 1))
    ends = [
        Estimate(value=float(v), ci_low=float(v - h), ci_high=float(v + h))
        for v, h in zip(found, half, strict=True)
    ]
    slope = Estimate.model_validate({k: 10 * v for k, v in ends[-1].model_dump().items()})
    return AtEqualLength(**told, adjusted=dict(zip(names, ends, strict=False)), slope=slope)
