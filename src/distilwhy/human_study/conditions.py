"""Names of conditions: which of the paper's four a label means, and the order they stand in."""

from __future__ import annotations

import re
from collections.abc import Sequence

PAPER = ("CF unrevised", "MT unrevised", "MT+CF unrevised", "MT+CF revised")
"""The paper's conditions in its order."""

COUNTERFACTUAL = {"cf", "counterfactual"}
MULTITASK = {"mt", "multitask"}
REVISED = {"revised", "revision", "revisions", "rev", "revrationales"}
SPELLINGS = (("multi-task", "multitask"), ("multi task", "multitask"), ("task-prefix", "multitask"))


def recognise(label: str) -> int | None:
    """Return which of the paper's conditions a label means, as its place in :data:`PAPER`.

    Words count, not their order or case: ``CF``, ``counterfactual``; ``MT``, ``multitask``,
    ``multi-task``, ``task-prefix``; both of these or ``both``; and ``revised``, ``revision`` or
    ``RevRationales`` for revised data, without which data are unrevised. So the published file's
    ``MT+CF:RevRationales`` and our ``multitask+counterfactual-revised`` are the same.

    Args:
        label: A value of the column ``model``.

    Returns:
        0 to 3, or ``None`` for a label of no method or of a condition that the paper left out.
    """
    text = label.casefold()
    for spelling, word in SPELLINGS:
        text = text.replace(spelling, word)
    words = set(re.findall(r"[a-z]+", text))
    both = "both" in words
    counterfactual = both or bool(words & COUNTERFACTUAL)
    multitask = both or bool(words & MULTITASK)
    revised = bool(words & REVISED)
    places = {(True, False, False): 0, (False, True, False): 1}
    places |= {(True, True, False): 2, (True, True, True): 3}
    return places.get((counterfactual, multitask, revised))


def ordered(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Put labels into the paper's order; those it does not know follow as they first appear.

    Args:
        labels: The label of each row.

    Returns:
        The distinct labels in order, and those of them that are none of the paper's conditions.
    """
    distinct = list(dict.fromkeys(labels))
    places = {label: recognise(label) for label in distinct}
    unknown = [label for label, place in places.items() if place is None]
    known = sorted(
        (place, distinct.index(label)) for label, place in places.items() if place is not None
    )
    return [distinct[first] for _, first in known] + unknown, unknown
