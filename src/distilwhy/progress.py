"""Progress of long work: a bar with rate and time left on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from distilwhy.ranks import rank

LINE_SECONDS = 15.0


class Advance(Protocol):
    """Tells how far work is."""

    def __call__(
        self, done: int, total: int | None = None, note: str = "", before: int | None = None
    ) -> None:
        """Show it.

        Args:
            done: Units done so far.
            total: Units in all, where that is known only now.
            note: A short note, such as the loss.
            before: Of these, units that say nothing of this run's rate, where known only now.
        """


@contextmanager
def progress_bar(label: str, total: int, before: int = 0) -> Iterator[Advance]:
    """Show the progress of one piece of work on standard error.

    Args:
        label: What is done, e.g. ``rationale``.
        total: Units of work in all; 0 where that is known only later.
        before: Units done in an earlier run, which say nothing of this one's rate.

    Yields:
        A function to call with the number of units done.
    """
    if rank() or not sys.stderr.isatty():
        with _log_lines(label, total, before) as advance:
            yield advance
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=before, note="")

        # The bar takes its rate from the last seconds, in which nothing of an earlier run falls.
        def advance(
            done: int, total: int | None = None, note: str = "", before: int | None = None
        ) -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance


@contextmanager
def _log_lines(label: str, total: int, before: int) -> Iterator[Advance]:
    start = time.monotonic()
    last = start
    whole = total
    shown = earlier = before

    def advance(
        done: int, total: int | None = None, note: str = "", before: int | None = None
    ) -> None:
        nonlocal last, whole, shown, earlier
        whole = total or whole
        earlier = earlier if before is None else before
        now = time.monotonic()
        ends = done >= whole > 0 and now > last and done != shown
        if now - last >= LINE_SECONDS or ends:
            last, shown = now, done
            rate = (done - earlier) / max(now - start, 1e-9)
            left = (whole - done) / rate if rate else 0.0
            say(f"{label}: {done}/{whole}, {rate:.2f}/s, {left:.0f} s left {note}".rstrip())

    yield advance


def say(text: str) -> None:
    """Write one line to standard error, so that standard output stays for results.

    Of several processes that work together, the first one writes.
    """
    if rank():
        return
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
