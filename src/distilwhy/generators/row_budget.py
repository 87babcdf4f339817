"""How many rows a model writes together: as many as still make it faster, found while it writes."""

from __future__ import annotations

import time

import torch

FIRST_ROWS = 32
GAIN = 1.1  # twice as many rows must bring so much, or they only take memory
FULL = 0.75  # of the rows must be there for a step to count: texts end, and others join later
STEPS = 16  # that count, for each number of rows


class RowBudget:
    """Doubles the tokens of a step, one for each row, while that brings more tokens a second.

    Steps are timed as they are made (:func:`clock`), so that nothing is computed to measure alone.
    The fastest step of each size counts, since other programs can only slow steps down.

    Args:
        most: Rows, at most.
        first: Rows to begin with.
    """

    def __init__(self, most: int, first: int = FIRST_ROWS) -> None:
        self.rows = min(first, most)
        self.rates: dict[int, float] = {}
        """Tokens a second by the number of rows, of all numbers that were measured."""
        self._most = most
        self._steps = 0
        self._best = 0.0
        self.is_settled = self.rows == most
        """Whether the number of rows is found."""

    def note(self, rows: int, seconds: float) -> None:
        """Take notice of a step.

        Args:
            rows: Rows that it added a token to.
            seconds: Time that it took.
        """
        if self.is_settled or rows < FULL * self.rows:
            return
        self._steps += 1
        self._best = max(self._best, rows / seconds)
        if self._steps == STEPS:
            self._decide()

    def _decide(self) -> None:
        before = next(reversed(self.rates), None)
        self.rates[self.rows] = self._best
        if before is not None and self._best < GAIN * self.rates[before]:
            self.rows, self.is_settled = before, True
        elif self.rows == self._most:
            self.is_settled = True
        else:
            self.rows = min(2 * self.rows, self._most)
        self._steps, self._best = 0, 0.0

    def __str__(self) -> str:
        rates = ", ".join(f"{rate:.0f} with {rows}" for rows, rate in self.rates.items())
        return f"{self.rows} texts at a time (tokens a second: {rates})"


def clock(device: torch.device) -> float:
    """Return the time in seconds by a clock for steps of a model on a device.

    On a processor it is this thread's own time, which does not go on while other programs run.
    """
    return time.thread_time() if device.type == "cpu" else time.perf_counter()
