"""Asking a server from an event loop in a thread of its own, so that any caller can wait for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import httpx2

from distilwhy.config import BackendSettings
from distilwhy.errors import StageError
from distilwhy.generators.api_client import open_client
from distilwhy.generators.api_endpoint import Endpoint
from distilwhy.generators.api_faults import Trouble, judge
from distilwhy.generators.api_messages import Dialect, read_answer
from distilwhy.generators.api_traffic import Traffic, backoff
from distilwhy.generators.base import Decoding, Generated
from distilwhy.progress import say

CLOSING_SECONDS = 5.0
TELL_SECONDS = 30.0  # between two notes on what a server does wrong

Again = Callable[[int], bool]


@dataclass(frozen=True)
class Patience:
    """How often a request is sent again.

    Args:
        attempts: Attempts at one prompt; refusals by a busy server do not count.
        first_attempts: The same while no connection was ever made.
        busy_seconds: How long a server may refuse all requests as too many.
        first_wait: Wait after the first failure, in seconds; doubled after each further one.
        longest_wait: The longest such wait, in seconds.
    """

    attempts: int = 8
    first_attempts: int = 3
    busy_seconds: float = 600.0
    first_wait: float = 0.5
    longest_wait: float = 60.0


@dataclass(frozen=True)
class Done:
    """What became of a prompt: a text, a failure that ends the run, or neither (given up)."""

    number: int
    generated: Generated | None = None
    failure: BaseException | None = None


class Asker:
    """Sends prompts and collects what becomes of them; a context manager.

    On leaving, all that is in flight is cancelled and the thread ends.

    Args:
        endpoint: The server.
        decoding: How to decode.
        settings: Requests at once and time-out.
        patience: How often a request is sent again.
        again: Asked before an attempt that may be charged for a second time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        decoding: Decoding,
        settings: BackendSettings,
        patience: Patience,
        again: Again | None,
    ) -> None:
        self.begun = 0
        """Prompts begun so far."""
        self._endpoint = endpoint
        self._decoding = decoding
        self._settings = settings
        self._patience = patience
        self._again = again
        self._finished = 0
        self._tell_at = 0.0
        self._failed = False
        self._done: SimpleQueue[Done] = SimpleQueue()
        self._traffic = Traffic(settings.concurrency)
        limit = "max_completion_tokens" if endpoint.is_openai and decoding.chat else "max_tokens"
        self._dialect = Dialect(endpoint.model, decoding, limit)
        self._path = "/chat/completions" if decoding.chat else "/completions"
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="distilwhy-api", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CLOSING_SECONDS)

    def has_room(self) -> bool:
        """Return whether a further prompt may be begun now."""
        return not self._failed and self._traffic.room(self.begun - self._finished)

    def begin(self, number: int, prompt: str) -> None:
        """Begin on a prompt."""
        self.begun += 1
        self._loop.call_soon_threadsafe(self._start, number, prompt)

    def next_done(self, timeout: float) -> Done | None:
        """Return what became of a prompt, or ``None`` when nothing did in so many seconds."""
        try:
            return self._done.get(timeout=timeout)
        except Empty:
            return None

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # It must not be lost with the thread.
            self._failed = True
            self._done.put(Done(-1, failure=error))
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_client(self._endpoint, self._settings.concurrency) as client:
            self._client = client
            self._ready.set()
            await self._stop.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, number: int, prompt: str) -> None:
        task = asyncio.create_task(self._answer(number, prompt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, prompt: str) -> None:
        done = Done(number)
        try:
            if not self._failed:
                done = Done(number, await self._attempts(number, prompt))
        except Exception as error:
            done = Done(number, failure=error)
            self._give_up()
        finally:
            self._finished += 1
            self._done.put(done)

    def _give_up(self) -> None:
        """Begin no further attempt; what is on its way may still arrive."""
        self._failed = True
        for task in self._tasks - self._sending - {asyncio.current_task()}:
            task.cancel()

    async def _attempts(self, number: int, prompt: str) -> Generated | None:
        failures = lost = 0
        while True:
            body = self._dialect.body(prompt)
            result = await self._attempt(body, prompt, lost)
            if isinstance(result, Generated):
                return result
            if self._failed:
                return None
            if result.reword is not None and self._reworded(body, result.reword):
                continue
            if result.refused:
                return Generated("", "stop", 0, 0, lost_attempts=lost, refused=result.what)
            failures += not result.busy
            self._check(result, failures)
            lost += result.lost
            if result.lost and self._again is not None and not self._again(number):
                return None
            self._tell(result)
            patience = self._patience
            wait = backoff(max(1, failures), patience.first_wait, patience.longest_wait)
            await asyncio.sleep(wait)

    async def _attempt(self, body: dict[str, Any], prompt: str, lost: int) -> Generated | Trouble:
        """Send a request once; return the text, or what its failure means."""
        traffic, task = self._traffic, asyncio.current_task()
        round_ = await traffic.enter()
        assert task is not None
        self._sending.add(task)
        try:
            async with asyncio.timeout(self._settings.timeout):
                # The answer is read as it came: the client's own types would take twice the time.
                response = await self._client.post(self._path, body=body, cast_to=httpx2.Response)
            answer = read_answer(response.content, prompt, self._decoding, lost)
            traffic.answered()
            return answer
        except Exception as error:
            trouble = judge(error, self._endpoint)
            if trouble.busy:
                traffic.refused(round_)
            if trouble.refused:
                traffic.answered()
            if trouble.wait is not None:
                traffic.pause(trouble.wait)
            return trouble
        finally:
            self._sending.discard(task)
            await traffic.leave()

    def _reworded(self, sent: dict[str, Any], said: str) -> bool:
        known = len(self._dialect.left_out)
        again = self._dialect.learn(sent, said)
        if "temperature" in self._dialect.left_out[known:]:
            say(f"{self._endpoint.model} takes no temperature; texts are sampled with its own.")
        return again

    def _tell(self, trouble: Trouble) -> None:
        """Say what keeps texts from coming, now and then: waits can take minutes."""
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            fewer = "fewer requests go at once" if trouble.busy else "its prompt is sent again"
            say(f"{self._endpoint.url} {trouble.what}; {fewer}.")

    def _check(self, trouble: Trouble, failures: int) -> None:
        """Raise when there is no point in a further attempt."""
        if trouble.final is not None:
            raise trouble.final
        traffic, patience = self._traffic, self._patience
        attempts = patience.attempts
        if trouble.unreachable and not traffic.any_answer:
            attempts = patience.first_attempts
        refused = time.monotonic() - traffic.last_answer > patience.busy_seconds
        if (trouble.busy and refused) or failures >= attempts:
            raise StageError(
                f"{self._endpoint.url} {trouble.what}, in {failures or 'many'} attempts at one "
                "prompt. See to the server, then run the same command again to go on."
            )
