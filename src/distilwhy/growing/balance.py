"""Balance: as many examples of each label, and right answers that stand everywhere alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from distilwhy.draws import stable_number
from distilwhy.records import Example


def spread(n: int, ranked: Sequence[str]) -> dict[str, int]:
    """Return how many of ``n`` each label gets; they differ by one at most.

    Args:
        n: Examples in all.
        ranked: The labels; where ``n`` is no multiple, the first ones get one more.
    """
    share, more = divmod(n, len(ranked))
    return {label: share + (rank < more) for rank, label in enumerate(ranked)}


def ranked_labels(labels: Sequence[str], seed: int) -> list[str]:
    """Return labels in an order drawn by seed."""
    return sorted(labels, key=lambda label: stable_number(seed, "label", label))


def balanced_sizes(available: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return how many examples of each label to take when some labels have too few.

    Args:
        available: Examples there are, by label.
        wanted: Examples wanted, by label.

    Returns:
        No label has more than one above the label with the fewest.
    """
    least = min(min(available[label], number) for label, number in wanted.items())
    short = any(available[label] < number for label, number in wanted.items())
    return {
        label: min(available[label], number, least + 1) if short else number
        for label, number in wanted.items()
    }


def shuffled(example: Example, *parts: str | int) -> Example:
    """Return an example with its choices in an order drawn by a hash of the parts."""
    order = sorted(
        range(len(example.choices)),
        key=lambda place: stable_number(*parts, example.choices[place], place),
    )
    return example.model_copy(update={"choices": tuple(example.choices[place] for place in order)})


def place_answers(examples: Sequence[Example], seed: int, *parts: str) -> list[Example]:
    """Return examples whose right answers stand equally often at every position.

    Wrong choices are put in an order drawn by seed. Among the examples with as many choices, the
    counts of any two positions differ by one at most, whatever the number of examples.

    Args:
        examples: Examples with choices of their own, no choice twice.
        seed: The seed.
        parts: What else the draw is for, e.g. the split.
    """
    seen: dict[int, int] = defaultdict(int)
    placed = []
    for example in examples:
        count = len(example.choices)
        block, turn = divmod(seen[count], count)
        seen[count] += 1
        positions = sorted(
            range(count), key=lambda place: stable_number(seed, *parts, count, block, place)
        )
        wrong = [
            choice
            for choice in shuffled(example, seed, example.id, "choices").choices
            if choice != example.answer
        ]
        wrong.insert(positions[turn], str(example.answer))
        placed.append(example.model_copy(update={"choices": tuple(wrong)}))
    return placed
