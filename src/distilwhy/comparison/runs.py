"""The runs that are compared, whatever they were read from, and the names of their conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from distilwhy.records import Record

PAPER = ("CF", "MT", "MT+CF", "MT+CF revised")
"""The paper's four conditions in its order; all but the last on unrevised data."""
KNOWN = (*PAPER, "CF revised", "MT revised")
"""Conditions that have a short name here; the last two are none of the paper's analysis."""

Origin = Literal["tables", "experiments"]
Unit = Literal["share", "percent"]

DEEP, FAR = 0.10, 3.5
COLLAPSE_RULE = (
    "a run of a table counts as collapsed when it lies more than 10 points below the median of its "
    "condition and size, and its modified z-score (Iglewicz and Hoaglin 1993) is below -3.5"
)
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmbt]?)", re.IGNORECASE)
FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


class Run(Record):
    """One trained student's result on the test questions.

    Args:
        condition: Its condition's name; :data:`KNOWN` has those with a short one.
        size: The student's size or name.
        run: What tells it from other runs of the cell: its seed, or the table's ``run``.
        accuracy: Share of test questions answered rightly, from 0 to 1.
        place: Where it was read, for messages.
        questions: Number of test questions; ``None`` where it is not known.
        predictions: File of its predictions; ``None`` where there is none.
        collapsed: What shows that the run brought no useful student; empty for a sound one.
    """

    condition: str
    size: str
    run: str
    accuracy: float
    place: str
    questions: int | None = None
    predictions: Path | None = None
    collapsed: tuple[str, ...] = ()


class RunSet(Record):
    """All runs of a comparison.

    Args:
        runs: The runs, by size, condition and name.
        origin: Whether they come from tables or from experiments of our own.
        unit: How the files write accuracies; here they are shares.
    """

    runs: tuple[Run, ...]
    origin: Origin
    unit: Unit = "share"

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions: the paper's order first, then by alphabet."""
        return ordered_conditions(run.condition for run in self.runs)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes, small ones first where all are numbers, else by alphabet."""
        return ordered_sizes(run.size for run in self.runs)

    def cell(self, condition: str, size: str) -> tuple[Run, ...]:
        """Return the runs of a condition and size."""
        return tuple(r for r in self.runs if (r.condition, r.size) == (condition, size))

    def keep(self, runs: Iterable[Run]) -> RunSet:
        """Return the same with some of its runs only."""
        return self.model_copy(update={"runs": tuple(runs)})


def ordered_conditions(names: Iterable[str]) -> tuple[str, ...]:
    """Return distinct names of conditions: the known ones in their order, then by alphabet."""
    found = sorted(set(names))
    known = [name for name in KNOWN if name in found]
    return (*known, *(name for name in found if name not in known))


def ordered_sizes(names: Iterable[str]) -> tuple[str, ...]:
    """Return distinct sizes: ascending where all are numbers such as ``220M``, else by alphabet."""
    found = sorted(set(names))
    matches = [SIZE.fullmatch(name) for name in found]
    if not all(matches):
        return tuple(found)
    values = {m[0]: float(m[1]) * FACTORS[m[2].lower()] for m in matches if m}
    return tuple(sorted(found, key=values.__getitem__))


def flag_collapsed(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Flag the collapsed runs of a table by :data:`COLLAPSE_RULE`; a table says no more of them.

    The median and the median absolute deviation stay what they are as long as most runs are sound.

    Args:
        runs: All runs of the comparison.
    """
    cells: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        cells.setdefault((run.condition, run.size), []).append(run.accuracy)
    flagged = []
    for run in runs:
        values = cells[run.condition, run.size]
        middle = median(values)
        spread = median(abs(value - middle) for value in values)
        below = middle - run.accuracy
        # Two runs cannot tell which of them is the odd one.
        if len(values) > 2 and below > DEEP + 1e-9 and 0.6745 * below > FAR * spread:
            what = f"{100 * below:.1f} points below the median of its cell"
            flagged.append(run.model_copy(update={"collapsed": (what,)}))
        else:
            flagged.append(run)
    return tuple(flagged)
