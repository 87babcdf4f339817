"""Which rows stand together: whole examples a step, each with all its views."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch.utils.data import Sampler

from distilwhy.students.rows import EncodedRow


class StepSampler(Sampler[list[int]]):
    """Yields the row numbers of each forward pass.

    A step takes ``batch_size`` examples in a seeded order, new in each epoch. Its rows, sorted by
    length, are cut into ``micro_batches`` forward passes of about equal size, so that short and
    long views do not pad each other.

    Args:
        groups: The row numbers of each example; examples without rows are left out.
        lengths: Length of each row, in tokens.
        batch_size: Examples a step.
        micro_batches: Forward passes a step, at most as many as examples in it.
        seed: Seed of the order.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]],
        lengths: Sequence[int],
        *,
        batch_size: int,
        micro_batches: int = 1,
        seed: int = 0,
    ) -> None:
        self.groups = [list(group) for group in groups if group]
        self.lengths = lengths
        self.batch_size = batch_size
        # An example has a row or more, so that no forward pass is left without rows.
        self.micro_batches = max(1, min(micro_batches, batch_size, len(self.groups)))
        self.seed = seed
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
        for size in self._step_sizes():
            rows = [row for group in order[start : start + size] for row in self.groups[group]]
            start += size
            yield from self._cut(rows)

    def _step_sizes(self) -> list[int]:
        whole, rest = divmod(len(self.groups), self.batch_size)
        sizes = [self.batch_size] * whole
        if rest >= self.micro_batches or not sizes:
            return [*sizes, rest] if rest else sizes
        # Too few examples for a step of their own join the last one.
        sizes[-1] += rest
        return sizes

    def _cut(self, rows: list[int]) -> Iterator[list[int]]:
        rows = sorted(rows, key=lambda row: (self.lengths[row], row))
        parts = self.micro_batches
        bounds = [round(part * len(rows) / parts) for part in range(parts + 1)]
        for first, last in pairwise(bounds):
            yield rows[first:last]


def flatten(encoded: Sequence[Sequence[EncodedRow]]) -> tuple[list[EncodedRow], list[list[int]]]:
    """Return all rows in one list, and for each example the places of its rows in it."""
    rows: list[EncodedRow] = []
    groups: list[list[int]] = []
    for example in encoded:
        groups.append(list(range(len(rows), len(rows) + len(example))))
        rows.extend(example)
    return rows, groups
