"""The append-only store of the teacher's texts: nothing that was answered is asked again."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.files import describe
from distilwhy.generators.recorded import StoredText
from distilwhy.teaching.ledger import Ledger, LedgerState, Tokens

SYNC_SECONDS = (
    0.5  # a sync takes milliseconds, which after every line would slow a fast server down
)


class TextStore:
    """Texts by the key of their request, in a JSON Lines file that only grows.

    A line is with the operating system before :meth:`append` returns, so that a kill of the process
    loses none; it is synced to the disk within half a second of others, and on closing. A last line
    that is torn all the same is cut off when the store is opened, and the rest is kept. Texts stay
    on the disk, with their places in memory: 0.3 KB a text. One process has a store open at a
    time. Use it as a context manager.

    Args:
        path: The file; made when missing.

    Raises:
        DataError: When the file cannot be read or written, another process has it open, or a line
            is not a stored text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent: dict[str, Tokens] = {}
        """Tokens by step, of all texts that are stored."""
        self.counts = Counter[str]()
        """Texts by step."""
        self._places: dict[str, tuple[int, int]] = {}
        self._size = 0
        self._synced = time.monotonic()
        self._handle = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(None, "Is a directory")
        except OSError as error:
            raise self._failure("opened", error) from error
        self._ledger = Ledger(path)
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._handle = os.open(path, flags, 0o644)
            self._load()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise self._failure("opened", error) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def ledger(self) -> LedgerState:
        """What is counted beside the texts; :meth:`write_ledger` keeps changes of it."""
        return self._ledger.state

    def write_ledger(self) -> None:
        """Keep the ledger as it is now."""
        self._ledger.write()

    def check_teacher(self, name: str, content: str) -> None:
        """Refuse a teacher that has changed since the store's texts were asked of it.

        Args:
            name: Its model string, by which the texts are kept.
            content: A hash of its files.

        Raises:
            DataError: When another content of it was noted before.
        """
        if self.ledger.contents.setdefault(name, content) != content:
            raise DataError(
                f"{self.path} holds texts of {name} as it was before its files changed.",
                "Write to another file, or remove the store and its ledger to ask anew.",
            )
        self.write_ledger()

    def check_precision(self, name: str, precision: str) -> None:
        """Refuse a teacher that would write on in another precision than that of the store's texts.

        Args:
            name: Its model string.
            precision: ``fp32`` or ``bf16``.

        Raises:
            DataError: When another precision was noted before.
        """
        noted = self.ledger.precisions.setdefault(name, precision)
        if noted != precision:
            raise DataError(
                f"{self.path} holds texts that {name} wrote in {noted}, not in {precision}.",
                f"Set precision: {noted}, or write to another file.",
            )
        self.write_ledger()

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def get(self, key: str) -> StoredText | None:
        """Return the text stored under a key, if there is one."""
        place = self._places.get(key)
        if place is None:
            return None
        start, length = place
        os.lseek(self._handle, start, os.SEEK_SET)
        return StoredText.model_validate_json(os.read(self._handle, length))

    def mean_tokens(self, step: str) -> Tokens:
        """Return a text's mean tokens at a step; at a step without texts, the dearest step's."""
        means = {
            known: Tokens(spent.prompt // count + 1, spent.completion // count + 1)
            for known, spent in self.spent.items()
            if (count := self.counts[known])
        }
        dearest = max(means.values(), key=lambda tokens: tokens.total, default=Tokens())
        return means.get(step, dearest)

    def mean_seconds(self, step: str) -> float:
        """Return a text's mean time at a step; at a step without texts, the slowest step's."""
        means = {known: timed.seconds / timed.texts for known, timed in self.ledger.steps.items()}
        return means.get(step, max(means.values(), default=0.0))

    def append(self, text: StoredText) -> None:
        """Store a text for good; a text whose key is stored already is ignored.

        Raises:
            DataError: When the disk is full or fails; what was stored before is kept.
        """
        if text.key in self._places:
            return
        line = text.model_dump_json(exclude_defaults=True).encode() + b"\n"
        written = 0
        try:
            while written < len(line):
                written += os.write(self._handle, line[written:])
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                self._sync()
        except OSError as error:
            with suppress(OSError):  # half a line would spoil the next one
                os.ftruncate(self._handle, self._size)
            raise self._failure("written", error) from error
        self._note(text, len(line))

    def close(self) -> None:
        """Sync and close the store; closing twice does nothing."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            try:
                os.fsync(handle)
            except OSError as error:
                raise self._failure("written", error) from error
            finally:
                os.close(handle)
                self._ledger.close()
        self._ledger.close()

    def _sync(self) -> None:
        os.fsync(self._handle)
        self._synced = time.monotonic()

    def _load(self) -> None:
        """Note the places of all whole lines and cut off a torn last one."""
        faults: list[Fault] = []
        for number, line in enumerate(_lines(self.path), 1):
            if not line.endswith(b"\n"):
                break
            if not line.strip():
                self._size += len(line)
                continue
            try:
                self._note(StoredText.model_validate_json(line), len(line))
            except ValidationError as error:
                faults += [Fault(f"{self.path}:{number}", what) for what in describe(error)]
        raise_faults(
            DataError, str(self.path), faults, "Remove these lines; their texts are asked again."
        )
        os.ftruncate(self._handle, self._size)

    def _note(self, text: StoredText, length: int) -> None:
        """Note a line of the file; the first one of a key is the one that counts."""
        self._places.setdefault(text.key, (self._size, length))
        self._size += length
        self.spent[text.step] = self.spent.get(text.step, Tokens()) + tokens_of(text)
        self.counts[text.step] += 1

    def _failure(self, done: str, error: OSError) -> DataError:
        return DataError(
            f"{self.path} could not be {done}: {error.strerror or error}.",
            "Free some space or choose another folder; what was stored before is kept.",
        )


def tokens_of(text: StoredText) -> Tokens:
    """Return the tokens of a stored text."""
    return Tokens(text.prompt_tokens, text.completion_tokens, text.cached_tokens)


def stored_texts(path: Path) -> Iterator[StoredText]:
    """Yield the texts of a store without opening it; none where there is no file.

    Raises:
        DataError: When a whole line is not a stored text.
    """
    if not path.is_file():
        return
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            return
        try:
            if line.strip():
                yield StoredText.model_validate_json(line)
        except ValidationError as error:
            raise DataError(
                f"{path}:{number}: {describe(error)[0]}.", "Remove the line; it is asked again."
            ) from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from stream
