"""Which rows stand together: whole examples a step, each with all its views."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch.utils.data import Sampler

from distilwhy.students.rows import EncodedRow


@dataclass(frozen=True)
class Bundle:
    """Rows that must stand in one forward pass: one, or several behind one source.

    Args:
        rows: Their numbers.
        length: Their tokens together, in a forward pass.
    """

    rows: list[int]
    length: int


class StepSampler(Sampler[list[int]]):
    """Yields the row numbers of each forward pass.

    A step takes ``batch_size`` examples in a seeded order, new in each epoch. Its bundles of rows,
    sorted by length, are cut into ``micro_batches`` forward passes, the largest of them as small as
    can be: memory follows it, and short and long views do not pad each other.

    Args:
        groups: The row numbers of each example; examples without rows are left out.
        bundle: Tells which of an example's rows are bundled.
        batch_size: Examples a step.
        micro_batches: Forward passes a step, at most as many as examples in it.
        seed: Seed of the order.
        counted: Tells, of a row's number and a step's, whether the row counts in that step's loss;
            those that do not are left out of it.
        processes: Processes that share each step; passes are made a multiple of it, those without
            rows included. A step has the same examples however many processes there are.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]],
        bundle: Callable[[Sequence[int]], list[Bundle]],
        *,
        batch_size: int,
        micro_batches: int = 1,
        seed: int = 0,
        counted: Callable[[int, int], bool] | None = None,
        processes: int = 1,
    ) -> None:
        self.groups = [list(group) for group in groups if group]
        self.bundle = bundle
        self.batch_size = batch_size
        # An example has a row or more, so that no forward pass is left without rows.
        self._least = max(1, min(micro_batches, batch_size, len(self.groups)))
        self.micro_batches = math.ceil(self._least / processes) * processes
        self.seed = seed
        self.counted = counted
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; the Trainer calls this, also when it resumes."""
        self.epoch = epoch

    @property
    def steps(self) -> int:
        """Optimiser steps an epoch."""
        return len(self._step_sizes())

    def __len__(self) -> int:
        return self.steps * self.micro_batches

    def order(self) -> list[int]:
        """Return the places of the examples in the order of this epoch."""
        order = list(range(len(self.groups)))
        random.Random(f"{self.seed} {self.epoch}").shuffle(order)  # noqa: S311 - no secret
        return order

    def __iter__(self) -> Iterator[list[int]]:
        order, start = self.order(), 0
        for step, size in enumerate(self._step_sizes(), self.epoch * self.steps):
            groups = [self.groups[place] for place in order[start : start + size]]
            start += size
            yield from self._cut(self._counted(groups, step))

    def _counted(self, groups: list[list[int]], step: int) -> list[Bundle]:
        """Return the rows that count in a step; all, where too few for its forward passes do."""
        every = [part for group in groups for part in self.bundle(group)]
        if self.counted is None:
            return every
        counting = [[row for row in group if self.counted(row, step)] for group in groups]
        kept = [part for group in counting if group for part in self.bundle(group)]
        return kept if len(kept) >= self._least else every

    def _step_sizes(self) -> list[int]:
        whole, rest = divmod(len(self.groups), self.batch_size)
        sizes = [self.batch_size] * whole
        if rest >= self._least or not sizes:
            return [*sizes, rest] if rest else sizes
        # Too few examples for a step of their own join the last one.
        sizes[-1] += rest
        return sizes

    def _cut(self, bundles: list[Bundle]) -> Iterator[list[int]]:
        bundles = sorted(bundles, key=lambda part: (part.length, part.rows))
        lengths = [part.length for part in bundles]
        start = 0
        sizes = cut_sorted(lengths, min(self.micro_batches, len(bundles)))
        for size in [*sizes, *[0] * (self.micro_batches - len(sizes))]:
            yield [row for part in bundles[start : start + size] for row in part.rows]
            start += size


def cut_sorted(lengths: Sequence[int], parts: int) -> list[int]:
    """Cut rows that are sorted by length, the positions of the largest part as few as can be.

    Args:
        lengths: Length of each row, ascending; at least ``parts`` of them.
        parts: How many parts.

    Returns:
        How many rows each part has; no part is empty.
    """
    # A part has as many positions as its longest row for each of its rows.
    sizes = [len(lengths)]
    low, high = max(lengths), len(lengths) * max(lengths)
    while low <= high:
        middle = (low + high) // 2
        tried = _filled(lengths, middle)
        if len(tried) <= parts:
            sizes, high = tried, middle - 1
        else:
            low = middle + 1
    while len(sizes) < parts:
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        half = sizes[largest] // 2
        sizes[largest : largest + 1] = [half, sizes[largest] - half]
    return sizes


def _filled(lengths: Sequence[int], positions: int) -> list[int]:
    """Return how many rows each part has when each takes as many as its positions allow."""
    sizes = [0]
    for length in lengths:
        if sizes[-1] and (sizes[-1] + 1) * length > positions:
            sizes.append(0)
        sizes[-1] += 1
    return sizes


def passes_for(lengths: Sequence[int], examples: int, batch_size: int, tokens: int) -> int:
    """Return how many forward passes a step needs for about so many tokens in each.

    Args:
        lengths: Length of each bundle of training rows.
        examples: How many examples they are of.
        batch_size: Examples a step.
        tokens: Tokens a forward pass.
    """
    step = sum(lengths) / max(examples, 1) * min(batch_size, examples)
    return max(1, round(step / tokens))


def flatten(encoded: Sequence[Sequence[EncodedRow]]) -> tuple[list[EncodedRow], list[list[int]]]:
    """Return all rows in one list, and for each example the places of its rows in it."""
    rows: list[EncodedRow] = []
    groups: list[list[int]] = []
    for example in encoded:
        groups.append(list(range(len(rows), len(rows) + len(example))))
        rows.extend(example)
    return rows, groups
