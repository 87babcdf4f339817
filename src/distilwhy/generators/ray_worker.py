"""A worker of the engine Ray: one opened backend that is given prompts and hands over its texts.

Nothing here needs Ray: an actor is made of it elsewhere, and its methods are called from several
threads, in an order that does not matter.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from distilwhy import __version__
from distilwhy.config import BackendSettings
from distilwhy.errors import ConfigError, DataError, ModelError, StageError, UserError
from distilwhy.generators.base import Decoding, Generated, Generator, can_contrast
from distilwhy.generators.open import open_generator

STARVED_SECONDS = 0.1  # a backend waits so long for a further prompt, then finishes what it has
ERRORS: dict[str, type[UserError] | type[StageError]] = {
    error.__name__: error for error in (ConfigError, DataError, ModelError, StageError)
}


@dataclass(frozen=True)
class Sent:
    """A prompt on its way to a worker."""

    number: int
    prompt: str


@dataclass(frozen=True)
class Opened:
    """A backend is ready.

    Args:
        version: Version of this package that the worker has.
        precision: Precision that the backend runs in; ``None`` where it says none.
        contrasts: Whether it decodes contrastively.
    """

    version: str
    precision: str | None
    contrasts: bool


@dataclass(frozen=True)
class Text:
    """A text is finished."""

    number: int
    generated: Generated


@dataclass(frozen=True)
class MayAgain:
    """The backend asks whether a prompt may be sent once more."""

    number: int


@dataclass(frozen=True)
class Left:
    """Prompts that the backend left unanswered."""

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """The backend failed.

    Args:
        kind: Name of the error's class.
        message: Its message.
        remedy: What the user should do, or the traceback of what is no mistake of a user.
    """

    kind: str
    message: str
    remedy: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return an error so that it can be sent, whatever its class and its arguments."""
        if isinstance(error, UserError):
            kind = type(error).__name__
            return cls(kind if kind in ERRORS else "ModelError", error.message, error.remedy)
        if isinstance(error, StageError):
            return cls("StageError", str(error))
        return cls("", f"{type(error).__name__}: {error}", "".join(traceback.format_exc()))

    def error(self) -> Exception:
        """Return the error."""
        if self.kind == "":
            found = StageError(f"A worker failed: {self.message}")
            found.__cause__ = RuntimeError(self.remedy)
            return found
        error = ERRORS[self.kind]
        if issubclass(error, UserError):
            return error(self.message, self.remedy)
        return error(self.message)


@dataclass(frozen=True)
class Ended:
    """All prompts given are dealt with."""


Event = Text | MayAgain | Left | Failure | Ended


class Worker:
    """Holds a backend; prompts come in blocks, what becomes of them is taken in blocks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Sent] = deque()
        self._events: deque[Event] = deque()
        self._granted: dict[int, bool] = {}
        self._received = 0
        self._total: int | None = None
        self._halted = False

    def open(
        self, model: str, settings: BackendSettings, threads: int, keys: Mapping[str, str]
    ) -> Opened | Failure:
        """Open the backend.

        Args:
            model: Its model string.
            settings: How it is run or reached.
            threads: Threads that it may compute with.
            keys: Environment variables that hold the server's key.
        """
        os.environ.update(keys)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        try:
            backend = open_generator(model, settings)
        except Exception as error:
            return Failure.of(error)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        self._backend: Generator = backend
        precision = getattr(backend, "precision", None)
        return Opened(__version__, precision, can_contrast(backend))

    def begin(self, decoding: Decoding, guarded: bool) -> None:
        """Begin on the prompts that are given from now on.

        Args:
            decoding: How to decode.
            guarded: Whether leave must be asked before a prompt is sent once more.
        """
        work = threading.Thread(target=self._work, args=(decoding, guarded), daemon=True)
        work.start()

    def give(self, block: Sequence[Sent]) -> None:
        """Take prompts in, in the order in which the backend shall get them."""
        with self._changed:
            self._received += len(block)
            if not self._halted:
                self._waiting.extend(block)
            self._changed.notify_all()

    def end(self, total: int) -> None:
        """No prompts will come beyond so many, of which some may still be on their way."""
        with self._changed:
            self._total = total
            self._changed.notify_all()

    def halt(self) -> None:
        """Drop the prompts that the backend has not begun on."""
        with self._changed:
            self._halted = True
            self._waiting.clear()
            self._changed.notify_all()

    def answer(self, number: int, granted: bool) -> None:
        """Say whether a prompt may be sent once more."""
        with self._changed:
            self._granted[number] = granted
            self._changed.notify_all()

    def take(self) -> list[Event]:
        """Wait until something has happened and return all that has."""
        with self._changed:
            self._changed.wait_for(lambda: self._events)
            events = list(self._events)
            self._events.clear()
            return events

    # What follows runs in the backend's threads.

    def next(self) -> Sent | None:
        """Return the next prompt; ``None`` when there is none, or none in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over(), STARVED_SECONDS)
            return self._waiting.popleft() if self._waiting else None

    def may_again(self, number: int) -> bool:
        """Ask whether a prompt may be sent once more, and wait for the answer."""
        with self._changed:
            self._tell(MayAgain(number))
            self._changed.wait_for(lambda: number in self._granted)
            return self._granted.pop(number)

    def _work(self, decoding: Decoding, guarded: bool) -> None:
        try:
            while self._wait():
                prompts = (Guarded if guarded else Given)(self)
                left = prompts.numbers
                for place, generated in self._backend.generate(prompts, decoding):
                    self._tell(Text(left.pop(place), generated))
                if left:
                    self._tell(Left(tuple(left.values())))
        except BaseException as error:  # It must not be lost with the thread.
            self._tell(Failure.of(error))
        with self._changed:
            self._received, self._total, self._halted = 0, None, False
            self._waiting.clear()
            self._tell(Ended())

    def _wait(self) -> bool:
        """Wait for prompts; false when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over())
            return bool(self._waiting)

    def _is_over(self) -> bool:
        return self._halted or self._received == self._total

    def _tell(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()


class Given(Iterator[str]):
    """The prompts that a worker is given, for one call of its backend.

    It ends when none is waiting, and what comes later goes into another call: a backend that waited
    in the middle of its work would keep finished texts from being handed over.

    Args:
        worker: The worker.
    """

    def __init__(self, worker: Worker) -> None:
        self.numbers: dict[int, int] = {}
        """Numbers of the prompts taken and not answered, by their place among those taken."""
        self._worker = worker
        self._taken = 0
        self._ended = False

    def __next__(self) -> str:
        sent = None if self._ended else self._worker.next()
        if sent is None:
            self._ended = True
            raise StopIteration
        self.numbers[self._taken] = sent.number
        self._taken += 1
        return sent.prompt


class Guarded(Given):
    """The same under a budget, see :class:`Admitted`."""

    def again(self, number: int) -> bool:
        """See :class:`Admitted`."""
        return self._worker.may_again(self.numbers[number])
