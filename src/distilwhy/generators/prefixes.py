"""Prompts that begin alike, put together so that a local model computes the beginning once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIN_PREFIX = 64  # tokens; shorter beginnings cost less than their bookkeeping
MIN_KEPT = 0.8  # a prompt that shares clearly less than the others starts a group of its own


@dataclass(frozen=True)
class PrefixGroup:
    """Prompts with a common beginning.

    Args:
        prefix: Length of the common beginning in tokens; 0 where there is none worth keeping.
        members: Places of the prompts, in the order of their tokens, so that prompts that share
            still more stand together.
    """

    prefix: int
    members: tuple[int, ...]


def group_by_prefix(
    prompts: Sequence[Sequence[int]], shortest: int = MIN_PREFIX
) -> list[PrefixGroup]:
    """Group prompts by the beginning that they share; every prompt stands in one group.

    Args:
        prompts: Token ids of each prompt, at least one token each.
        shortest: Shorter common beginnings are not worth keeping.

    Returns:
        The groups; prompts that share no such beginning stand together in the last one. A prefix
        always leaves at least one token of every member.
    """
    order = sorted(range(len(prompts)), key=lambda place: list(prompts[place]))
    groups: list[PrefixGroup] = []
    alone: list[int] = []
    start = 0
    while start < len(order):
        first = prompts[order[start]]
        shared, end = len(first) - 1, start + 1
        while end < len(order):
            common = common_prefix(first, prompts[order[end]], shared)
            if common < shortest or (end > start + 1 and common < MIN_KEPT * shared):
                break
            shared, end = common, end + 1
        if end - start > 1:
            groups.append(PrefixGroup(shared, tuple(order[start:end])))
        else:
            alone.append(order[start])
        start = end
    if alone:
        groups.append(PrefixGroup(0, tuple(alone)))
    return groups


def common_prefix(first: Sequence[int], second: Sequence[int], limit: int) -> int:
    """Return how many tokens two prompts share from the start, leaving one of the second.

    Args:
        first: Tokens.
        second: Tokens.
        limit: Return at most so many.
    """
    most = min(limit, len(first), len(second) - 1)
    if list(first[:most]) == list(second[:most]):
        return max(most, 0)
    return next(place for place in range(most) if first[place] != second[place])
