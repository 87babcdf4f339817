"""Admission: a prompt is handed out only when its cost fits the budget and nobody wants to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from distilwhy.generators.base import Count, Decoding, Generated, contrasted
from distilwhy.teaching.ledger import Tokens
from distilwhy.teaching.spending import Spending, Ticket

# Tokens that a server may put around a prompt: the first token's mark, or a chat template with the
# system prompt that some templates bring. A server that adds more is noticed by its first answer.
MARKS = 8
CHAT_MARKS = 256


def most_tokens(prompt: str, decoding: Decoding) -> int:
    """Return a bound on the tokens of a prompt that needs no tokenizer: its bytes, and marks.

    No token of a byte-level tokenizer, which servers' models have, is shorter than a byte. What a
    prompt is contrasted with is read as well.
    """
    read = [prompt, contrasted(prompt)] if decoding.contrast else [prompt]
    marks = CHAT_MARKS if decoding.chat else MARKS
    return sum(len(one.encode("utf-8", "replace")) + marks for one in read)


class Interrupt:
    """Notes a wish to stop: the first SIGINT or SIGTERM is noted, a SIGINT after it stops at once.

    Use it as a context manager; signals are as before when it ends. Outside the main thread, which
    alone may handle signals, it notes nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first signal that came."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                # Ignored signals stay ignored, e.g. under nohup; others' own handlers go first.
                if before in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A tool that ends a group of processes may send SIGTERM twice, so it never stops at once.
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is None:
            self.signal = number
            with suppress(OSError):  # not sys.stderr, which may be in the middle of a line
                os.write(2, b"\nStopping after the texts in flight; Ctrl-C again stops now.\n")


class Admission(Iterator[str]):
    """The prompts of one round, each handed out when it is admitted; see :class:`Admitted`.

    Args:
        prompts: The prompts; those that are not admitted are left for another round.
        decoding: How their texts are decoded.
        spending: Whether a prompt fits.
        interrupt: Whether somebody wants to stop.
        count: The backend's own count of a prompt's tokens, where it has one.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        decoding: Decoding,
        spending: Spending,
        interrupt: Interrupt,
        count: Count | None = None,
    ) -> None:
        self.taken = 0
        """Prompts handed out."""
        self._prompts = prompts
        self._decoding = decoding
        self._spending = spending
        self._interrupt = interrupt
        self._count = count or most_tokens
        self._tickets: dict[int, Ticket] = {}
        self.denied = False
        """Whether a prompt, or another attempt at one, did not fit."""

    def __next__(self) -> str:
        # Once denied for good: an iterator that has ended must not go on when room is free again.
        if self.denied or self.taken == len(self._prompts) or self._interrupt.signal is not None:
            raise StopIteration
        prompt = self._prompts[self.taken]
        tokens = Tokens(self._count(prompt, self._decoding), self._decoding.max_new_tokens)
        ticket = self._spending.take(tokens + self._spending.surplus)
        if ticket is None:
            self.denied = True
            raise StopIteration
        self._tickets[self.taken] = ticket
        self.taken += 1
        return prompt

    def again(self, number: int) -> bool:
        """See :class:`Admitted`."""
        granted = self._spending.again(self._tickets[number])
        self.denied = self.denied or not granted
        return granted

    def settle(self, number: int, step: str, generated: Generated) -> None:
        """Count a text that came.

        Args:
            number: Number of the prompt.
            step: The step that asked.
            generated: The text, which is stored already.
        """
        self._spending.settle(self._tickets.pop(number), step, generated)

    def refuse(self, number: int) -> None:
        """Give up a prompt that the teacher refuses, which costs nothing.

        Args:
            number: Number of the prompt.
        """
        self._spending.lose([self._tickets.pop(number)], charged=False)

    def close(self, *, charged: bool) -> None:
        """Give up what was begun and brought no text.

        Args:
            charged: Whether the last attempts at it may have been charged for.
        """
        tickets, self._tickets = self._tickets, {}
        self._spending.lose(tickets.values(), charged=charged)
