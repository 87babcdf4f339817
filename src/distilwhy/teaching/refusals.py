"""Prompts that a teacher refuses one by one, e.g. as too long: told, and asked again later"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from distilwhy.errors import ModelError
from distilwhy.files import write_records
from distilwhy.generators.recorded import StoredText
from distilwhy.progress import say
from distilwhy.records import Record

MOST_AT_FIRST = 20  # of a teacher that has written nothing yet: then it is not about the prompts


class Refused(Record):
    """A line of the file of refused prompts.

    Args:
        step: The step that asked.
        example: Id of the example that it is about.
        reason: What the teacher said.
    """

    step: str
    example: str
    reason: str


def refused_path(store: Path) -> Path:
    """Return where the refused prompts of a store lie; there is no such file where none was."""
    return store.with_name(f"{store.stem}.refused.jsonl")


class Refusals:
    """The prompts that a teacher refused in this run; each counts as an empty text in it.

    They are not stored, so that the next run asks again: the server may take longer prompts then.

    Args:
        store: The store that lacks their texts.
        name: The teacher's model string.
    """

    def __init__(self, store: Path, name: str) -> None:
        self._path = refused_path(store)
        self._name = name
        self._rows: dict[str, StoredText] = {}
        self._refused: list[Refused] = []

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._refused)

    def get(self, key: str) -> StoredText | None:
        """Return the empty text that stands for a refused one, if it was refused."""
        return self._rows.get(key)

    def add(self, row: StoredText, reason: str, *, first: bool) -> None:
        """Note a refused prompt.

        Args:
            row: The empty text that stands for it.
            reason: What the teacher said.
            first: Whether the teacher has written no text at all so far.

        Raises:
            ModelError: When it refuses every prompt.
        """
        self._rows[row.key] = row
        self._refused.append(Refused(step=row.step, example=row.example, reason=reason))
        if first and len(self._refused) >= MOST_AT_FIRST:
            self.check(first=first)

    def check(self, *, first: bool) -> None:
        """Refuse to go on with a teacher that has refused all that it was asked.

        Args:
            first: Whether the teacher has written no text at all so far.

        Raises:
            ModelError: When that is so.
        """
        if first and self._refused:
            raise ModelError(
                f"{self._name} refused every prompt ({self._refused[0].reason}).",
                "Give the server a longer context, or ask with fewer shots, then run the same "
                "command again to go on.",
            )

    def tell(self, *, whole: bool) -> None:
        """Write the refused prompts beside the store, and say how many there are.

        Args:
            whole: Whether the run has asked for all that it wanted.
        """
        if not self._refused:
            if whole:
                self._path.unlink(missing_ok=True)
            return
        write_records(self._path, self._refused)
        steps = Counter(refused.step for refused in self._refused)
        told = ", ".join(f"{count:,} {step}" for step, count in steps.items())
        say(
            f"Texts missing because {self._name} refused their prompts: {told}; see {self._path}. "
            "The same command asks for them again."
        )
