"""What stands beside a store of texts: who has it open, hours, and attempts without a text."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, ValidationError

from distilwhy.errors import DataError
from distilwhy.files import read_text
from distilwhy.progress import say
from distilwhy.records import Record

BLOCK = 1024  # bytes; the file is written over in place, in one piece


@dataclass(frozen=True)
class Tokens:
    """An amount of tokens.

    Args:
        prompt: Of prompts, cached ones included.
        completion: Of texts.
        cached: Of the prompts' tokens, those that a server had cached.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
        )

    def __mul__(self, times: int) -> Tokens:
        return Tokens(self.prompt * times, self.completion * times, self.cached * times)

    def __sub__(self, other: Tokens) -> Tokens:
        return self + other * -1

    @property
    def total(self) -> int:
        """All of them."""
        return self.prompt + self.completion


class Owner(Record):
    """The process that has a store open.

    Args:
        pid: Its number.
        host: Its machine.
        since: When it opened the store, UTC, to the second.
    """

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class StepTime(BaseModel):
    """Time that texts of a step took: ``seconds`` for so many ``texts``."""

    texts: int = 0
    seconds: float = 0.0


class LedgerState(BaseModel):
    """What the ledger of a store holds.

    Args:
        owner: The process that has the store open; ``None`` when it was closed.
        in_flight: Most that the prompts can cost that are being answered.
        lost: Most that attempts cost which brought no text.
        seconds: Time in which the teacher was asked.
        longest: Longest time that one text took, in seconds.
        steps: Time by step, of texts that came.
        contents: By local teacher, the hash of what the store's texts are from.
        precisions: By local teacher, the precision in which it wrote them.
    """

    owner: Owner | None = None
    in_flight: Tokens = Tokens()
    lost: Tokens = Tokens()
    seconds: float = 0.0
    longest: float = 0.0
    steps: dict[str, StepTime] = Field(default_factory=dict)
    contents: dict[str, str] = Field(default_factory=dict)
    precisions: dict[str, str] = Field(default_factory=dict)


def ledger_path(store: Path) -> Path:
    """Return where the ledger of a store lies."""
    return store.with_name(f"{store.stem}.ledger.json")


def lock_path(store: Path) -> Path:
    """Return the file that is locked while a store is open."""
    return store.with_name(f".{store.name}.lock")


def read_ledger(store: Path) -> LedgerState:
    """Read the ledger of a store; an empty one where there is none.

    Raises:
        DataError: When it cannot be read.
    """
    path = ledger_path(store)
    if not path.exists():
        return LedgerState()
    try:
        return LedgerState.model_validate_json(read_text(path).strip() or "{}")
    except ValidationError as error:
        raise DataError(
            f"{path} is not the ledger of a store.",
            "Remove it: only hours and attempts without a text are then forgotten.",
        ) from error


class Ledger:
    """The ledger of a store that this process alone has open.

    The lock is the operating system's, so that it ends with the process, however that ends; who
    holds it stands in the ledger. What was in flight when an owner was killed counts as lost.

    Args:
        store: The store's path; its folder exists.

    Raises:
        DataError: When another process has the store open, or a file cannot be used.
    """

    def __init__(self, store: Path) -> None:
        self._path = ledger_path(store)
        self._lock = FileLock(lock_path(store), thread_local=False)
        self._lock_store(store)
        try:
            self.state = read_ledger(store)
            self._take_over()
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._handle = os.open(self._path, flags, 0o644)
            self.write()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise self._failure(error) from error
            raise

    def write(self) -> None:
        """Write the state; it is safe from a kill at once, from a power cut when closed.

        Raises:
            DataError: When the disk is full or fails.
        """
        text = self.state.model_dump_json().encode()
        # In one piece and never shorter, so that no kill leaves half of it.
        padded = text + b" " * (-len(text) % BLOCK)
        try:
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, padded)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the ledger and give the store free; closing twice does nothing."""
        if self._handle < 0:
            return
        try:
            self.state.owner = None
            self.write()
            os.fsync(self._handle)
        finally:
            os.close(self._handle)
            self._handle = -1
            self._lock.release()

    def _lock_store(self, store: Path) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            owner = None
            with suppress(DataError):  # its owner may be about to write it for the first time
                owner = read_ledger(store).owner
            raise DataError(
                f"{store} is in use by {owner or 'another process'}.",
                "Wait for it or stop it; two processes would ask for the same texts twice.",
            ) from None
        except (OSError, NotImplementedError) as error:
            raise DataError(
                f"{store} cannot be locked: {error}.", "Choose a folder on another disk."
            ) from error

    def _take_over(self) -> None:
        """Note who has the store now, and count what a killed owner had in flight as lost."""
        state = self.state
        if state.owner is not None:
            say(f"The store was left open by {state.owner}, which is gone; going on after it.")
        state.lost, state.in_flight = state.lost + state.in_flight, Tokens()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        state.owner = Owner(pid=os.getpid(), host=socket.gethostname(), since=now)

    def _failure(self, error: OSError) -> DataError:
        return DataError(
            f"{self._path} could not be written: {error.strerror or error}.",
            "Free some space or choose another folder; what was stored before is kept.",
        )
