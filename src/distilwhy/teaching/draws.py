"""Everything random in teaching, drawn by a hash of (seed, example, step): stable everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations
from typing import Literal

from distilwhy.config import Contrast
from distilwhy.draws import draw, stable_number
from distilwhy.errors import DataError
from distilwhy.records import Example

AdjectivePair = tuple[str, str]


@lru_cache(maxsize=16)
def adjective_pool(
    adjectives: tuple[str, ...], pairs: int | Literal["all"], seed: int
) -> tuple[AdjectivePair, ...]:
    """Return the ordered pairs of distinct adjectives that prompts draw from.

    A small pool keeps the prefixes of prompts equal, so that they are computed once; a larger
    pool of the same seed holds the smaller one.

    Args:
        adjectives: All adjectives; 18 of them make 306 ordered pairs.
        pairs: Size of the pool, or ``all``, which is the paper's way.
        seed: The experiment's seed.
    """
    every = list(permutations(adjectives, 2))
    if pairs == "all":
        return tuple(every)
    return tuple(sorted(every, key=lambda pair: stable_number(seed, "pool", *pair))[:pairs])


def draw_adjectives(
    pool: Sequence[AdjectivePair], seed: int, example_id: str, step: str
) -> AdjectivePair:
    """Return the adjective pair of one prompt."""
    return draw(pool, seed, example_id, step, "adjectives")


def draw_flaw(flaws: Sequence[str], seed: int, example_id: str, number: int = 1) -> str:
    """Return the flaw that an example's critique and revision are asked about.

    Args:
        flaws: Names of all flaws.
        seed: The experiment's seed.
        example_id: The example.
        number: The round, from 1; no flaw comes again before all have been asked about.
    """
    first = draw(flaws, seed, example_id, "critique", "flaw")
    others = sorted(
        (flaw for flaw in flaws if flaw != first),
        key=lambda flaw: stable_number(seed, example_id, "critique", "flaw", flaw),
    )
    return [first, *others][(number - 1) % len(flaws)]


def contrasted_answer(example: Example, choice: str, contrast: Contrast, seed: int) -> str:
    """Return the answer that a text for one choice is contrasted with.

    Args:
        example: The example.
        choice: The choice that the text argues for.
        contrast: With another choice, or with none.
        seed: The experiment's seed.
    """
    if contrast.against == "empty":
        return ""
    others = tuple(dict.fromkeys(other for other in example.choices if other != choice))
    return draw(others, seed, example.id, choice, "contrast")


def draw_wrong_choice(example: Example, seed: int) -> str:
    """Return one wrong choice of an example.

    Raises:
        DataError: When the example's answer is not known.
    """
    if example.answer is None:
        raise DataError(
            f"Example {example.id!r} has no answer, so its wrong choices are not known.",
            "Give an answer to every training example.",
        )
    return draw(example.wrong_choices, seed, example.id, "counterfactual", "choice")
