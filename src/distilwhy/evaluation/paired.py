"""Paired comparison of two predictors on the same examples."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.errors import DataError
from distilwhy.evaluation.accuracy import (
    LEVEL,
    RESAMPLES,
    check_predictions,
    largest_unseen_share,
    name_some,
)
from distilwhy.records import Prediction, Record
from distilwhy.tasks.answers import normalise


class PairedComparison(Record):
    """Two predictors on the same examples (McNemar, Psychometrika 1947; exact form).

    Args:
        n: Examples.
        only_first_right: Examples that only the first got right (McNemar's b).
        only_second_right: Examples that only the second got right (McNemar's c).
        difference: Accuracy of the first minus that of the second, from -1 to 1.
        ci_low: Lower end of the 95 % paired bootstrap interval of the difference.
        ci_high: Its upper end.
        p: Two-sided exact binomial p of ``only_first_right`` among the examples on which just one
            was right; 1 when there is none.
    """

    n: int
    only_first_right: int
    only_second_right: int
    difference: float
    ci_low: float
    ci_high: float
    p: float


def mcnemar(
    first: Sequence[Prediction], second: Sequence[Prediction], seed: int = 0
) -> PairedComparison:
    """Compare two predictors that answered the same examples, in any order.

    The test looks at one pair of trained students; it says nothing of other seeds.

    Args:
        first: Predictions of the first predictor.
        second: Predictions of the second, of the same examples.
        seed: Seed of the bootstrap.

    Raises:
        DataError: When either cannot be scored, or when the example ids or right answers differ.
    """
    from scipy.stats import binomtest

    check_predictions(first, "the first predictions")
    check_predictions(second, "the second predictions")
    pairs = _pair(first, second)
    b = sum(one.correct and not other.correct for one, other in pairs)
    c = sum(other.correct and not one.correct for one, other in pairs)
    low, high = difference_interval(b, c, len(pairs), seed)
    return PairedComparison(
        n=len(pairs),
        only_first_right=b,
        only_second_right=c,
        difference=(b - c) / len(pairs),
        ci_low=low,
        ci_high=high,
        p=float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0,
    )


def difference_interval(b: int, c: int, n: int, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the difference of two paired accuracies.

    Examples are drawn with both their scores, which makes the counts (first only, second only,
    the rest) multinomial; the 100,000 resamples are drawn as such counts. When all examples fall
    into one of the three every resample is equal; then the interval is as wide as the
    Clopper-Pearson limits of the two kinds that did not occur allow.

    Args:
        b: Examples that only the first got right.
        c: Examples that only the second got right.
        n: Examples, at least 1.
        seed: Seed of the draw.

    Returns:
        The lower and upper end, from -1 to 1.
    """
    if n in (b, c, n - b - c):
        difference = (b - c) / n
        # From 'always b' the difference falls twice for an example that turns out to be a c.
        slack = largest_unseen_share(n) * (2 if difference else 1)
        return max(-1.0, difference - slack), min(1.0, difference + slack)
    import numpy as np

    counts = np.random.default_rng(seed).multinomial(
        n, [b / n, c / n, (n - b - c) / n], size=RESAMPLES
    )
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _pair(
    first: Sequence[Prediction], second: Sequence[Prediction]
) -> list[tuple[Prediction, Prediction]]:
    others = {prediction.example.id: prediction for prediction in second}
    names = {prediction.example.id for prediction in first}
    unshared = [
        f"only the {which} has {name_some(sorted(extra))}"
        for which, extra in (
            ("first", names - others.keys()),
            ("second", others.keys() - names),
        )
        if extra
    ]
    if unshared:
        raise DataError(
            f"The two predictors did not answer the same examples: {'; '.join(unshared)}.",
            "Predict the same split with both.",
        )
    pairs = [(prediction, others[prediction.example.id]) for prediction in first]
    unlike = [
        one.example.id
        for one, other in pairs
        if normalise(one.example.answer or "") != normalise(other.example.answer or "")
    ]
    if unlike:
        raise DataError(
            f"The two predictors have other right answers for {name_some(unlike)}.",
            "Predict the same version of the task with both.",
        )
    return pairs
