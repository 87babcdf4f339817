"""What grown examples look like, read off the seed examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.prompts.wording import one_line
from distilwhy.records import Example, Family
from distilwhy.tasks.words import normalise

FEWEST = 2


@dataclass(frozen=True)
class Shape:
    """What all examples of a task have in common.

    Args:
        family: How questions are asked.
        labels: The choices of every question; empty where each question has its own.
        counts: How many choices a question may have, ascending.
        context: Share of examples with a context, from 0 to 1; 1 for premises.
    """

    family: Family
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    context: float


def shape_of(seeds: Sequence[Example]) -> Shape:
    """Return the shape of a task's examples.

    Args:
        seeds: Seed examples. Where all have the same choices, these are the task's labels.

    Raises:
        DataError: When they are fewer than two, of several families, without answers, equal, when
            a question of choices of its own has one twice, or when a label has no example.
    """
    if len(seeds) < FEWEST:
        raise DataError(
            f"There {'is one seed example' if seeds else 'are no seed examples'}.",
            "Give about 20, two at least.",
        )
    family = seeds[0].family
    fixed = family != "multiple_choice" or len({frozenset(seed.choices) for seed in seeds}) == 1
    faults = [fault for seed in seeds for fault in _faults(seed, family, fixed)]
    faults += _repeated(seeds)
    labels = seeds[0].choices if fixed else ()
    answers = {seed.answer for seed in seeds}
    faults += [Fault(f"label {label!r}", "has no seed") for label in labels if label not in answers]
    raise_faults(DataError, "the seed examples", faults, "Mend or add these seed examples.")
    return Shape(
        family=family,
        labels=labels,
        counts=tuple(sorted({len(seed.choices) for seed in seeds})),
        context=sum(seed.context is not None for seed in seeds) / len(seeds),
    )


def _faults(seed: Example, family: Family, fixed: bool) -> list[Fault]:
    faults = []
    if seed.family != family:
        faults.append(Fault(seed.id, f"is of family {seed.family}, others are {family}"))
    if seed.answer is None:
        faults.append(Fault(seed.id, "has no answer"))
    if family == "nli" and not seed.context:
        faults.append(Fault(seed.id, "has no premise (context)"))
    if not fixed and len({normalise(choice) for choice in seed.choices}) < len(seed.choices):
        faults.append(Fault(seed.id, "has a choice twice"))
    return faults


def _repeated(seeds: Sequence[Example]) -> list[Fault]:
    texts = Counter((seed.context, one_line(seed.question)) for seed in seeds)
    return [
        Fault(repr(question[:60]), f"is the question of {count} seeds")
        for (_, question), count in texts.items()
        if count > 1
    ]
