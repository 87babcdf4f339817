"""Progress of long work: a bar with rate and time left on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_SECONDS = 15.0

Advance = Callable[[int, str], None]
"""Called with (done so far, a short note such as the loss)."""


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Advance]:
    """Show the progress of one piece of work on standard error.

    Args:
        label: What is done, e.g. ``rationale``.
        total: Units of work in all.

    Yields:
        A function to call with the number of units done and a note.
    """
    if not sys.stderr.isatty():
        with _log_lines(label, total) as advance:
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
        task = bar.add_task(label, total=total, note="")
        yield lambda done, note: bar.update(task, completed=done, note=note)


@contextmanager
def _log_lines(label: str, total: int) -> Iterator[Advance]:
    start = time.monotonic()
    last = start

    def advance(done: int, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS or (done >= total > 0 and now > last):
            last = now
            rate = done / max(now - start, 1e-9)
            left = (total - done) / rate if rate else 0.0
            say(f"{label}: {done}/{total}, {rate:.2f}/s, {left:.0f} s left {note}".rstrip())

    yield advance


def say(text: str) -> None:
    """Write one line to standard error, so that standard output stays for results."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
