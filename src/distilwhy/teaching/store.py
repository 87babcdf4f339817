"""The append-only store of the teacher's texts: nothing that was answered is asked again."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.files import describe
from distilwhy.generators.recorded import StoredText


class TextStore:
    """Texts by the key of their request, in a JSON Lines file that only grows.

    A line is on the disk before :meth:`append` returns. A last line that a kill left torn is cut
    off when the store is opened, and the rest is kept. Use it as a context manager.

    Args:
        path: The file; made when missing.

    Raises:
        DataError: When the file cannot be read or written, or a line is not a stored text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, StoredText] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # O_APPEND: every line goes to the end, whoever else writes.
            self._handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._failure("opened", error) from error
        try:
            self._load()
        except BaseException:
            os.close(self._handle)
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
        return len(self._texts)

    def get(self, key: str) -> StoredText | None:
        """Return the text stored under a key, if there is one."""
        return self._texts.get(key)

    def append(self, text: StoredText) -> None:
        """Store a text for good; a text whose key is stored already is ignored.

        Raises:
            DataError: When the disk is full or fails; what was stored before is kept.
        """
        if text.key in self._texts:
            return
        line = text.model_dump_json().encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._handle, line) :]
            os.fsync(self._handle)
        except OSError as error:
            raise self._failure("written", error) from error
        self._texts[text.key] = text

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _load(self) -> None:
        """Read all whole lines and cut off a torn last one."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._handle, whole)
        faults: list[Fault] = []
        for number, line in enumerate(content[:whole].split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                text = StoredText.model_validate_json(line)
            except ValidationError as error:
                faults += [Fault(f"{self.path}:{number}", what) for what in describe(error)]
            else:
                self._texts.setdefault(text.key, text)
        raise_faults(
            DataError, str(self.path), faults, "Remove these lines; their texts are asked again."
        )

    def _failure(self, done: str, error: OSError) -> DataError:
        return DataError(
            f"{self.path} could not be {done}: {error.strerror or error}.",
            "Free some space or choose another folder; what was stored before is kept.",
        )
