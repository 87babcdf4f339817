"""Which rows share a line of a batch, so that little is spent on padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

LONGEST_LINE = 384
LONGEST_PAIR = 512  # of encoder and decoder together
# In a line of so many positions masked attention costs as much as all else, on a CPU: in
# decoder-only models, and in encoder-decoders, where positions add a term of their own.
ATTENTION_AS_MUCH = 1024
ATTENTION_AS_MUCH_IN_PAIRS = 512


def fit_lengths(lengths: Sequence[int]) -> list[list[int]]:
    """Put rows into lines of a batch.

    Rows go, longest first, into the first line with room. Several line lengths are tried, from the
    longest row's up to twice that or 384; the one that costs the least is taken: positions, each
    the dearer the longer its line.

    Args:
        lengths: Length of each row, above 0.

    Returns:
        The rows of each line; every row stands in exactly one.
    """
    longest = max(lengths)
    capacities = range(longest, max(longest, min(2 * longest, LONGEST_LINE)) + 1, 8)
    packings = [_first_fit(lengths, capacity) for capacity in capacities]
    return min(packings, key=lambda bins: _cost(bins, lengths, ATTENTION_AS_MUCH))


def fit_pairs(lengths: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Put pairs of a source and a target into lines, side by side in encoder and decoder.

    For each number of lines, pairs go, longest first, where they lengthen encoder and decoder the
    least; the number of lines that costs the least is taken: positions, each the dearer the longer
    its line.

    Args:
        lengths: Lengths of each pair, above 0.

    Returns:
        The pairs of each line; every pair stands in exactly one.
    """
    longest = max(map(sum, lengths))
    total = sum(map(sum, lengths))
    widest = max(longest, LONGEST_PAIR)
    fewest = math.ceil(total / widest)
    counts = range(fewest, min(len(lengths), total // longest + 1) + 1)
    packings = [_balanced(lengths, count) for count in (*counts, len(lengths))]

    sources, targets = ([pair[side] for pair in lengths] for side in (0, 1))

    def cost(bins: Sequence[Sequence[int]]) -> float:
        return sum(_cost(bins, side, ATTENTION_AS_MUCH_IN_PAIRS) for side in (sources, targets))

    return min(packings, key=cost)


def _cost(bins: Sequence[Sequence[int]], lengths: Sequence[int], attention_as_much: int) -> float:
    width = max(sum(lengths[row] for row in members) for members in bins)
    return len(bins) * width * (1 + width / attention_as_much)


def _first_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    bins: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        place = next((b for b, free in enumerate(room) if free >= length), None)
        if place is None:
            bins.append([])
            room.append(capacity)
            place = len(bins) - 1
        bins[place].append(index)
        room[place] -= length
    return bins


def _balanced(lengths: Sequence[tuple[int, int]], count: int) -> list[list[int]]:
    """Spread pairs over so many lines, both sides of which grow alike."""
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [(0, 0)] * count
    # A side is as full as its share of what all lines must hold of it.
    whole = [sum(pair[side] for pair in lengths) for side in (0, 1)]
    for index in sorted(range(len(lengths)), key=lambda i: (-sum(lengths[i]), i)):
        source, target = lengths[index]
        after = [(s + source, t + target) for s, t in filled]
        place = min(range(count), key=lambda b: max(after[b][0] / whole[0], after[b][1] / whole[1]))
        bins[place].append(index)
        filled[place] = after[place]
    return [members for members in bins if members]
