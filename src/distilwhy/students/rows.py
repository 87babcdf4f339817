"""A row as token ids, and what a batch of them becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

Batch = dict[str, torch.Tensor]

NO_ROW = -1
"""The number of a row that is none of the run's training rows."""


@dataclass(frozen=True)
class EncodedRow:
    """A row as token ids.

    Args:
        view: Index of its view among the method's views.
        source: Input tokens.
        target: Target tokens, the end token last.
        given: How many target tokens, from the start, are read but not counted in the loss.
        cut: Whether source or target was cut at its limit.
        number: Its place among the run's training rows; -1 for any other, and below that for rows
            that the student wrote itself.
    """

    view: int
    source: tuple[int, ...]
    target: tuple[int, ...]
    given: int
    cut: bool
    number: int = NO_ROW

    @property
    def tokens(self) -> int:
        """Source and target tokens together."""
        return len(self.source) + len(self.target)


def read_once(rows: Sequence[EncodedRow]) -> int:
    """Return the tokens of rows of one source, which counts once."""
    return len(rows[0].source) + sum(len(row.target) for row in rows)
