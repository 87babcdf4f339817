"""Calibration: does the student know how likely it is to be right?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distilwhy.evaluation.accuracy import LEVEL
from distilwhy.explainability.figures import mean_of, scores_of, share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Scored
from distilwhy.explainability.subject import Subject
from distilwhy.records import Prediction

if TYPE_CHECKING:
    import numpy as np

BINS = 10
RESAMPLES = 2_000
COVERAGES = (0.5, 0.8)


class Calibration:
    """Likelihoods of the choices: accuracy by them, ECE, Brier score, selective accuracy."""

    needs: tuple[str, ...] = ("student",)

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        assert subject.student is not None
        known = [p for p in subject.predictions if p.example.answer is not None]
        own = [p.rationale or "" for p in known]
        found = subject.student.choice_likelihoods(
            [p.example for p in known], own if subject.student.answers_after_rationale else None
        )
        items = [_score(p, likelihoods) for p, likelihoods in zip(known, found, strict=True)]
        return Scored(items, {"bins": BINS})

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        confidence, right = scores_of(items, "confidence"), scores_of(items, "right")
        figures = {
            "option_accuracy": share_of(items, "right", seed),
            "agrees_with_greedy": share_of(items, "agrees", seed),
            "confidence": mean_of(items, "confidence", seed),
            "brier": mean_of(items, "brier", seed),
            "ece": _resampled(expected_calibration_error, confidence, right, seed),
        }
        for coverage in COVERAGES:
            name = f"selective_accuracy_{coverage:.0%}".replace("%", "")
            figures[name] = _resampled(
                lambda c, r, share=coverage: selective_accuracy(c, r, share),
                confidence,
                right,
                seed,
            )
        return figures


def expected_calibration_error(
    confidence: Sequence[float], right: Sequence[float], bins: int = BINS
) -> float:
    """Return the mean distance of confidence and accuracy over bins of equal mass.

    Args:
        confidence: Probability of the choice taken, one an item, from 0 to 1.
        right: 1 where it was right, else 0.
        bins: Bins, which differ in size by one item at most; fewer where there are fewer items.

    Returns:
        The weighted mean of ``|accuracy - confidence|`` over bins, from 0 to 1 (Guo et al. 2017,
        arXiv 1706.04599, equation 5, with bins of equal mass: Nixon et al. 2019, arXiv 1904.01685).
    """
    return sum(
        n / len(confidence) * abs(accuracy - mean)
        for n, mean, accuracy in reliability(confidence, right, bins)
    )


def reliability(
    confidence: Sequence[float], right: Sequence[float], bins: int = BINS
) -> list[tuple[int, float, float]]:
    """Return items, mean confidence and accuracy of each bin of equal mass, least confident first.

    Args: as of :func:`expected_calibration_error`.
    """
    import numpy as np

    order = np.argsort(np.asarray(confidence), kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    sure, true = np.asarray(confidence, float), np.asarray(right, float)
    return [(len(p), float(sure[p].mean()), float(true[p].mean())) for p in parts]


def selective_accuracy(
    confidence: Sequence[float], right: Sequence[float], coverage: float
) -> float:
    """Return the accuracy on the most confident items (El-Yaniv and Wiener 2010, JMLR 11).

    Args:
        confidence: Confidence, one an item.
        right: 1 where it was right, else 0.
        coverage: Share of items answered, above 0 to 1; at least one is.
    """
    import numpy as np

    count = max(1, round(coverage * len(confidence)))
    order = np.argsort(-np.asarray(confidence), kind="stable")
    return float(np.asarray(right, float)[order[:count]].mean())


def _score(prediction: Prediction, likelihoods: Sequence[float]) -> ItemScores:
    """Score one item; choices that stand twice share what they get."""
    from scipy.special import softmax

    example = prediction.example
    distinct: dict[str, float] = {}
    for choice, value in zip(example.choices, likelihoods, strict=True):
        distinct[choice] = value
    shares = dict(zip(distinct, softmax(list(distinct.values())), strict=True))
    taken = max(shares, key=lambda choice: shares[choice])
    return ItemScores(
        example_id=example.id,
        scores={
            "choice": taken,
            "confidence": float(shares[taken]),
            "right": taken == example.answer,
            "agrees": None if prediction.answer is None else taken == prediction.answer,
            "brier": sum(
                (float(share) - (choice == example.answer)) ** 2 for choice, share in shares.items()
            ),
        },
        flags=("confident and wrong",) if shares[taken] > 0.9 and taken != example.answer else (),
    )


def _resampled(
    statistic: Any, confidence: Sequence[float], right: Sequence[float], seed: int
) -> Figure:
    """Return a statistic of pairs with its 95 % percentile bootstrap interval over items."""
    if not confidence:
        return Figure(value=None, n=0, reason="no item to judge")
    import numpy as np

    generator = np.random.default_rng(seed)
    sure, true = np.asarray(confidence), np.asarray(right)
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        places: np.ndarray = generator.integers(0, len(sure), len(sure))
        drawn.append(statistic(sure[places], true[places]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(
        value=float(statistic(sure, true)), n=len(sure), ci_low=float(low), ci_high=float(high)
    )


MEASURES.add("calibration", Calibration())
