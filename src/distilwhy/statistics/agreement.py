"""Krippendorff's alpha: do people who judged the same things agree more than chance would?

The package ``krippendorff`` is under the GPL and this one is not; the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from distilwhy.records import Record
from distilwhy.statistics.values import check_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

Level = Literal["nominal", "ordinal", "interval"]
"""What distances between values mean: none but equal or not, ranks, or numbers."""

RESAMPLES = 2000
LEVEL = 0.95


class Agreement(Record):
    """Krippendorff's alpha.

    Args:
        alpha: 1 for perfect agreement, 0 for that of chance, below for less; ``None`` where it is
            not computable, like the interval.
        ci_low: Lower end of its 95 % percentile bootstrap interval over units.
        ci_high: Its upper end.
        units: Units that were judged at least twice.
        values: Judgements of these.
        reason: Why there is no result; ``None`` where there is one.
    """

    alpha: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    units: int
    values: int
    reason: str | None = None


def krippendorff_alpha(
    units: Sequence[Sequence[float]], level: Level = "ordinal", seed: int = 0
) -> Agreement:
    """Return Krippendorff's alpha (Krippendorff 2011, 'Computing alpha-reliability').

    Args:
        units: Of each judged thing, its judgements, one a judge, missing ones left out; finite
            numbers. Units with fewer than two say nothing and are left out.
        level: The level of measurement.
        seed: Seed of the bootstrap.

    Raises:
        DataError: When a value is not finite.
    """
    import numpy as np

    kept = [unit for unit in units if len(unit) > 1]
    values = [value for unit in kept for value in unit]
    check_finite(values)
    told = {"units": len(kept), "values": len(values)}
    if not kept:
        return Agreement(**told, reason="nothing was judged more than once")
    domain = np.unique(values)
    if len(domain) == 1:
        return Agreement(**told, reason="all judgements are equal")
    pairs = np.array([_coincidences(unit, domain) for unit in kept])
    alpha = float(_alphas(pairs.sum(axis=0)[None], domain, level)[0])
    if len(kept) < 2:
        return Agreement(**told, alpha=alpha)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(kept), np.full(len(kept), 1 / len(kept)), size=RESAMPLES)
    shape = (RESAMPLES, len(domain), len(domain))
    resampled = _alphas((weights @ pairs.reshape(len(kept), -1)).reshape(shape), domain, level)
    # A resample of equal judgements only has no alpha.
    limits = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(resampled[np.isfinite(resampled)], limits)
    return Agreement(**told, alpha=alpha, ci_low=float(low), ci_high=float(high))


def _coincidences(unit: Sequence[float], domain: NDArray[Any]) -> NDArray[Any]:
    """Return how often two judges of a unit gave two values, as shares that sum to its judges."""
    import numpy as np

    counts = (np.asarray(unit)[:, None] == domain).sum(axis=0)
    pairs = np.outer(counts, counts) - np.diag(counts)
    return np.asarray(pairs / (len(unit) - 1))


def _alphas(pairs: NDArray[Any], domain: NDArray[Any], level: Level) -> NDArray[Any]:
    """Return alpha of each matrix of coincidences, shape ``(matrices, values, values)``."""
    import numpy as np

    totals = pairs.sum(axis=2)
    if level == "ordinal":
        # Ranks: all judgements between two values, and half of those that are one of them.
        places = totals.cumsum(axis=1) - totals / 2
        distance = (places[:, :, None] - places[:, None, :]) ** 2
    elif level == "interval":
        distance = np.broadcast_to((domain[:, None] - domain[None]) ** 2, pairs.shape)
    else:
        distance = np.broadcast_to(1.0 - np.eye(len(domain)), pairs.shape)
    observed = (pairs * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (totals.sum(axis=1) - 1) * observed / expected)
