"""Names of conditions: which of the paper's four a label means, and the order they stand in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

PAPER = ("CF unrevised", "MT unrevised", "MT+CF unrevised", "MT+CF revised")
"""The paper's conditions in its order."""

COUNTERFACTUAL = {"cf", "counterfactual"}
MULTITASK = {"mt", "multitask"}
REVISED = {"revised", "revision", "revisions", "rev", "revrationales"}
SILENT = {"both", "unrevised", "posrationales", "prefix", "few", "shot", "positive", "rationale"}
SILENT |= {"rationales", "data", "and", "on"}
"""Other words of the published file's names and of ours; any word beyond makes a name unknown."""
SPELLINGS = (("multi-task", "multitask"), ("multi task", "multitask"), ("task-prefix", "multitask"))


def recognise(label: str) -> int | None:
    """Return which of the paper's conditions a label means, as its place in :data:`PAPER`.

    Words count, not their order or case: ``CF``, ``counterfactual``; ``MT``, ``multitask``,
    ``multi-task``, ``task-prefix``; both of these or ``both``; and ``revised``, ``revision`` or
    ``RevRationales`` for revised data, without which data are unrevised. So the published file's
    ``MT+CF:RevRationales`` and our ``multitask+counterfactual-revised`` are the same. A name with
    any other word, such as ``MT-large`` or ``CF baseline``, may mean another condition.

    Args:
        label: A value of the column ``model``.

    Returns:
        0 to 3, or ``None`` for a label of no method, with unknown words, or of a condition that the
        paper left out.
    """
    text = label.casefold()
    for spelling, word in SPELLINGS:
        text = text.replace(spelling, word)
    words = set(re.findall(r"[^\W_]+", text))
    if words - COUNTERFACTUAL - MULTITASK - REVISED - SILENT or words >= {"unrevised", "revised"}:
        return None
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


def notes(conditions: Sequence[str], unknown: Sequence[str]) -> list[str]:
    """Tell of names that are none of the paper's conditions, and of several names for one.

    Args:
        conditions: The distinct labels.
        unknown: Those that are not recognised.
    """
    told = []
    if unknown:
        names = ", ".join(repr(label) for label in unknown)
        after = " after the paper's" if len(unknown) < len(conditions) else ""
        told.append(
            f"Not recognised as one of the paper's conditions: {names}; placed{after} as they "
            "appear."
        )
    alike = defaultdict(list)
    for label in conditions:
        if label not in unknown:
            alike[recognise(label)].append(label)
    return told + [
        f"{' and '.join(map(repr, labels))} mean the same condition of the paper ({PAPER[place]}); "
        "they are kept apart as they are written."
        for place, labels in alike.items()
        if place is not None and len(labels) > 1
    ]
