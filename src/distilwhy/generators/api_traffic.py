"""How many requests a server gets at once, and when the next may go: it adapts to refusals."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Mapping


class Traffic:
    """Requests in flight, fewer after each refusal and one more after each round without one.

    Used from one event loop; only the plain reads of :meth:`room` are for other threads.

    Args:
        most: Requests in flight at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.in_flight = 0
        self.last_answer = time.monotonic()
        self.any_answer = False
        self._resume_at = 0.0
        self._round = 0
        self._changed = asyncio.Condition()

    def room(self, begun: int) -> bool:
        """Return whether a further prompt may be begun beside those that are unfinished."""
        return begun < int(self.limit) and time.monotonic() >= self._resume_at

    async def enter(self) -> int:
        """Wait for a place and for the end of any pause; return the round, for :meth:`refused`."""
        while True:
            while (wait := self._resume_at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            async with self._changed:
                await self._changed.wait_for(lambda: self.in_flight < int(self.limit))
                if time.monotonic() >= self._resume_at:
                    self.in_flight += 1
                    return self._round

    async def leave(self) -> None:
        """Give the place back."""
        async with self._changed:
            self.in_flight -= 1
            self._changed.notify(max(1, int(self.limit) - self.in_flight))

    def answered(self) -> None:
        """Count an answer: a whole round of them makes room for one request more."""
        self.any_answer, self.last_answer = True, time.monotonic()
        self.limit = min(float(self.most), self.limit + 1 / self.limit)

    def refused(self, round_: int) -> None:
        """Halve the limit, unless that was done since the refused request was sent."""
        if round_ == self._round:
            self._round += 1
            self.limit = max(1.0, self.limit / 2)

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)


def backoff(attempt: int, first: float, longest: float) -> float:
    """Return how long to wait before the next attempt, in seconds: doubling, with jitter.

    Args:
        attempt: Attempts that failed so far, from 1.
        first: The wait after the first, before jitter takes off up to half.
        longest: The longest wait.
    """
    return min(longest, first * 2.0 ** min(attempt - 1, 60)) * random.uniform(0.5, 1)  # noqa: S311


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how long a server asks to wait, in seconds; ``None`` when it does not say.

    Reads ``retry-after-ms`` (OpenAI) and ``Retry-After`` in seconds or as a date (RFC 9110,
    section 10.2.3).
    """
    with_scale = ((headers.get("retry-after-ms"), 1000.0), (headers.get("retry-after"), 1.0))
    for text, scale in with_scale:
        try:
            seconds = float(text or "") / scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after") or "")
        return max(0.0, date.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
