"""Leakage-adjusted simulatability: do explanations help to foresee the predictor's answers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distilwhy.evaluation.accuracy import LEVEL, largest_unseen_share
from distilwhy.explainability.consistency import answered
from distilwhy.explainability.figures import NOTHING, RESAMPLES, mean, mean_of, scores_of, share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Scored
from distilwhy.explainability.reader import SHOTS, Reading, expected_answers
from distilwhy.explainability.subject import Subject
from distilwhy.records import Prediction

SMALLEST_GROUP = 10
"""Items that each group needs; the mean of fewer says nothing, and half of LAS hangs on it."""

UNKNOWN_GOLD = "right answers are not known"


class Simulatability:
    """LAS with a scorer as simulator (Hase et al. 2020, arXiv 2010.04119, section 4)."""

    needs: tuple[str, ...] = ("scorer",)

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        judged = answered(subject)
        assert subject.scorer is not None  # it is needed
        readings = [
            reading
            for prediction in judged
            for reading in (
                Reading(prediction.example),
                Reading(prediction.example, rationale=prediction.rationale),
                Reading(prediction.example, question=False, rationale=prediction.rationale),
            )
        ]
        found = iter(expected_answers(subject.scorer, readings))
        items = [_item(prediction, next(found), next(found), next(found)) for prediction in judged]
        leaking = sum(bool(item.scores["e"]) for item in items)
        details: dict[str, str | int] = {
            "simulator": subject.scorer.name,
            "shots": SHOTS,
            "leaking": leaking,
            "not_leaking": len(items) - leaking,
            "without_answer": len(subject.explained) - len(judged),
        }
        return Scored(items, details)

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        return {
            **_las_figures(items, "", seed, NOTHING),
            **{name: share_of(items, name, seed) for name in ("x", "xe", "e")},
            "added": mean_of(items, "added", seed),
            **_las_figures(items, "gold_", seed, UNKNOWN_GOLD if items else NOTHING),
        }


def las(leaking: Sequence[float], others: Sequence[float], seed: int) -> Figure:
    """Return leakage-adjusted simulatability: the mean of the two groups' mean gains.

    The 95 % interval is the percentile bootstrap over items; each resample keeps an item's group,
    so that group sizes vary as they would with other items. Where all items of each group gain the
    same, resamples are all alike; the interval is then as wide as what so many items never show.

    Args:
        leaking: Gains (-1, 0 or 1) of items whose answer the explanation alone gives away: whether
            question and explanation together tell it, less whether the question alone does.
        others: The same of the other items.
        seed: Seed of the bootstrap.

    Returns:
        The figure, from -1 to 1; a reason instead where a group has fewer than 10 items.
    """
    n = len(leaking) + len(others)
    if min(len(leaking), len(others)) < SMALLEST_GROUP:
        return Figure(value=None, n=n, reason=_too_small(len(leaking), len(others)))
    value = (sum(leaking) / len(leaking) + sum(others) / len(others)) / 2
    low, high = _interval(leaking, others, seed)
    return Figure(value=value, n=n, ci_low=low, ci_high=high)


def _too_small(leaking: int, others: int) -> str:
    n = leaking + others
    few, what = (leaking, "leak") if leaking <= others else (others, "do not leak")
    return (
        f"only {few} of {n} explanations {what} the answer to the simulator, and each group needs "
        f"{SMALLEST_GROUP}"
    )


def _interval(leaking: Sequence[float], others: Sequence[float], seed: int) -> tuple[float, float]:
    import numpy as np

    if len(set(leaking)) == 1 and len(set(others)) == 1:
        low = high = 0.0
        for gains in (leaking, others):
            unseen = largest_unseen_share(len(gains))
            low += (gains[0] - unseen * (gains[0] + 1)) / 2
            high += (gains[0] + unseen * (1 - gains[0])) / 2
        return low, high
    steps = (-1.0, 0.0, 1.0)
    kinds = [[list(group).count(step) for step in steps] for group in (leaking, others)]
    counts = np.asarray(kinds, dtype=float).ravel()
    # Items of a kind are alike, so that a resample is how many of each kind it drew.
    drawn = np.random.default_rng(seed).multinomial(
        int(counts.sum()), counts / counts.sum(), size=RESAMPLES
    )
    groups = drawn.reshape(RESAMPLES, 2, 3)
    sizes = groups.sum(axis=2)
    whole = (sizes > 0).all(axis=1)  # without a group, a resample has no LAS
    values = ((groups[whole] @ np.asarray(steps)) / sizes[whole]).mean(axis=1)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _las_figures(
    items: Sequence[ItemScores], kind: str, seed: int, reason: str
) -> dict[str, Figure]:
    """Return LAS and both groups' gains, for the predictor's own answers or (``gold_``) the right.

    Args:
        items: The items.
        kind: What stands before the names of figures and scores.
        seed: Seed of the bootstrap.
        reason: Why there is nothing, where no item has a target of that kind.
    """
    known = [item for item in items if item.scores.get(f"{kind}e") is not None]
    leaking = scores_of([i for i in known if i.scores[f"{kind}e"]], f"{kind}added")
    others = scores_of([i for i in known if not i.scores[f"{kind}e"]], f"{kind}added")
    whole = las(leaking, others, seed) if known else Figure(value=None, n=0, reason=reason)
    empty = reason if not known else "no item is of this group"
    return {
        f"{kind}las": whole,
        f"{kind}las_leaking": mean(leaking, seed, empty),
        f"{kind}las_not_leaking": mean(others, seed, empty),
    }


def _item(
    prediction: Prediction, by_x: str | None, by_both: str | None, by_e: str | None
) -> ItemScores:
    scores: dict[str, bool | int | None] = {}
    for kind, target in (("", prediction.answer), ("gold_", prediction.example.answer)):
        known = target is not None
        scores[f"{kind}x"] = by_x == target if known else None
        scores[f"{kind}xe"] = by_both == target if known else None
        scores[f"{kind}e"] = by_e == target if known else None
        scores[f"{kind}added"] = (by_both == target) - (by_x == target) if known else None
    return ItemScores(
        example_id=prediction.example.id,
        scores=dict(scores),
        flags=("leaking",) if scores["e"] else (),
    )


MEASURES.add("simulatability", Simulatability())
