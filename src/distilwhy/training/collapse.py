"""Whether a run brought a student at all: its loss against that of one that knows no context."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from distilwhy.records import CurvePoint
from distilwhy.students.rows import EncodedRow


def unigram_entropies(rows: Sequence[EncodedRow], views: Sequence[str]) -> dict[str, float]:
    """Return the entropy of each view's target tokens, in nats.

    It is the mean token loss of the best student that reads nothing, neither the question nor what
    it has written so far, on the rows that it was trained on.

    Args:
        rows: Rows trained on.
        views: The names of the views, in the order that rows number them.
    """
    counts: dict[int, Counter[int]] = {}
    for row in rows:
        counts.setdefault(row.view, Counter()).update(row.target[row.given :])
    return {views[view]: _entropy(counts[view]) for view in sorted(counts)}


def _entropy(counts: Counter[int]) -> float:
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


def not_below_unigram(
    curve: Sequence[CurvePoint],
    best_step: int,
    entropies: Mapping[str, float],
    weights: Mapping[str, float],
) -> tuple[str, ...]:
    """Return what shows that a student learnt no more than how often each token occurs.

    Each view's held-out loss at the step kept is compared with the view's own entropy; where
    nothing is held out, the last training loss with the weighted sum of all.

    Args:
        curve: The run's curve.
        best_step: The step of the checkpoint kept.
        entropies: Of each view's target tokens, in nats.
        weights: The method's weights.

    Returns:
        A clause for each such loss; none for a sound run.
    """
    kept = next((p for p in curve if p.step == best_step and p.held_out_views), None)
    if kept is not None:
        compared = {
            f"held-out loss of {view}": (loss, entropies.get(view, 0.0))
            for view, loss in kept.held_out_views.items()
        }
    else:
        losses = [point.loss for point in curve if point.loss is not None]
        known = sum(weights[view] * entropy for view, entropy in entropies.items())
        compared = {"training loss": (losses[-1], known)} if losses else {}
    return tuple(
        f"its {name} is {loss:.3g} nats a token, not below the {entropy:.3g} of a student that "
        "knows only how often each token occurs"
        for name, (loss, entropy) in compared.items()
        if loss >= entropy > 0
    )
