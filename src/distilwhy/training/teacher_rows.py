"""A student's row as the teacher reads it, and which of its tokens say the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from distilwhy.errors import ModelError
from distilwhy.students.encode import Encoder
from distilwhy.students.rows import EncodedRow
from distilwhy.students.views import Row
from distilwhy.training.teacher_context import TeacherContext


@dataclass(frozen=True)
class TeacherRow:
    """A row as the teacher reads it.

    Args:
        row: What it reads and the target, as its own tokens.
        prefix: How many tokens, from the start, all rows of the view begin with.
        places: Those of the student's counted target tokens that have soft labels.
        theirs: The teacher's counted target tokens that these are compared with, as many.
    """

    row: EncodedRow
    prefix: int
    places: tuple[int, ...]
    theirs: tuple[int, ...]


class TeacherRows:
    """Makes the teacher's rows.

    Args:
        context: What the teacher reads before the target.
        encoder: The teacher's encoder.
        tokenizer: The student's tokenizer.
        alignment: How tokens are matched where the vocabularies differ; ``None`` where both are
            the same, so that the teacher reads the student's own target tokens.
        room: Tokens that the teacher can read, if that is limited.
        name: The teacher's name, for messages.
    """

    def __init__(
        self,
        context: TeacherContext,
        encoder: Encoder,
        tokenizer: PreTrainedTokenizerBase,
        alignment: Literal["text", "index"] | None,
        room: int | None = None,
        name: str = "",
    ) -> None:
        self._context = context
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._alignment = alignment
        self._room = room
        self._name = name

    def make(self, text: Row, row: EncodedRow) -> TeacherRow:
        """Return a row as the teacher reads it.

        Args:
            text: The row.
            row: The row as the student's tokens.

        Raises:
            ModelError: When the teacher cannot read so much.
        """
        source, prefix = self._context.source_ids(text), len(self._context.prefix(text))
        if self._alignment is None:
            count = tuple(range(len(row.target) - row.given))
            made = TeacherRow(replace(row, source=source, cut=False), prefix, count, count)
        else:
            theirs = replace(self._encoder.encode(text, row.view), number=row.number)
            pairs = self._pairs(text.target, row, theirs)
            theirs = replace(theirs, source=source)
            made = TeacherRow(theirs, prefix, *(tuple(p) for p in zip(*pairs, strict=True)))
        self._check_room(made.row)
        return made

    def _pairs(self, text: str, ours: EncodedRow, theirs: EncodedRow) -> list[tuple[int, int]]:
        """Return which counted token of the student is compared with which of the teacher."""
        counts = [len(row.target) - row.given for row in (ours, theirs)]
        if self._alignment == "index":
            return [(n, n) for n in range(min(counts))]
        first, second = (
            _beginnings(text, tokenizer, count)
            for tokenizer, count in zip(
                (self._tokenizer, self._encoder.tokenizer), counts, strict=True
            )
        )
        return [(place, second[letter]) for letter, place in first.items() if letter in second]

    def _check_room(self, row: EncodedRow) -> None:
        if self._room is not None and row.tokens > self._room:
            raise ModelError(
                f"soft: the teacher {self._name} reads {self._room} tokens, but a row needs "
                f"{row.tokens}.",
                "Lower soft.shots or training.max_source_tokens, or take another teacher.",
            )


def _beginnings(text: str, tokenizer: Any, count: int) -> dict[int, int]:
    """Return for each letter at which a token begins the first token that does.

    Tokenizers differ in where a space belongs, so that a token begins at its first letter that is
    none. The end token begins where the text ends; a target that was cut ends before that.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    starts = [start for start, _ in encoded["offset_mapping"]]
    found: dict[int, int] = {}
    for place, start in enumerate([*starts, len(text)][:count]):
        letter = start + len(text[start:]) - len(text[start:].lstrip())
        found.setdefault(letter, place)
    return found
