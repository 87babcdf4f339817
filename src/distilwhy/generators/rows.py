"""Prompts on their way to a model: taken as there is room, their shared beginnings recognised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from distilwhy.generators.prefix_store import PrefixStore
from distilwhy.generators.prefixes import MIN_KEPT, MIN_PREFIX, common_prefix, group_by_prefix

PromptT = TypeVar("PromptT")

AHEAD = 4  # batches looked ahead where rows of a batch should be of one length
SAME_QUESTION = 8  # rows taken beyond the room when they go on with the last one's question
LAST_TOKENS = 24  # in which prompts of one question differ
MIN_KEPT_ALONE = 0.5  # a kept prefix serves a prompt without company if it covers so much of it


@dataclass(eq=False)
class Row:
    """One text being written.

    Args:
        number: Number of its prompt.
        prompt: The prompt's tokens.
        against: Tokens of the prompt that it is contrasted with, if there is one.
        sampler: The text's own random source; ``None`` when greedy.
        written: Tokens written.
        logprob: Their log-likelihood in nats.
        prefix: How many of the prompt's tokens others share.
        waited: Whether the row was held back once, for others that share its beginning.
        begun: Tokens that an encoder-decoder's text begins with, given to it.
    """

    number: int
    prompt: list[int]
    against: list[int] | None = None
    sampler: torch.Generator | None = None
    written: list[int] = field(default_factory=list)
    logprob: float = 0.0
    prefix: int = 0
    waited: bool = False
    begun: tuple[int, ...] = ()

    def reset(self) -> None:
        """Begin the text anew."""
        self.written.clear()
        self.logprob = 0.0
        if self.sampler is not None:
            self.sampler.manual_seed(self.sampler.initial_seed())


class RowQueue:
    """Takes prompts one after another, as rows are wanted.

    Args:
        prompts: The prompts.
        make: Turns a prompt's number and the prompt into a row.
        prefixes: The model's prefixes; ``None`` where none are shared.
    """

    def __init__(
        self,
        prompts: Iterable[PromptT],
        make: Callable[[int, PromptT], Row],
        prefixes: PrefixStore | None,
    ) -> None:
        self._rows = (make(number, prompt) for number, prompt in enumerate(prompts))
        self._prefixes = prefixes
        self._ahead: list[Row] = []
        self._ended = False

    @property
    def is_empty(self) -> bool:
        """Whether no row is left, as far as that is known."""
        return self._ended and not self._ahead

    def take(self, room: int, *, idle: bool) -> list[Row]:
        """Return up to so many rows, and a few more where the last one's question goes on.

        Args:
            room: Rows wanted.
            idle: Whether the model has nothing else to do: then no row waits for others like it.
        """
        if self._prefixes is None:
            self._pull(room * AHEAD)
            # Rows of one length need little padding; texts begun alike need none.
            self._ahead.sort(key=lambda row: (row.begun, len(row.prompt), row.number))
            begun = self._ahead[0].begun if self._ahead else ()
            count = sum(row.begun == begun for row in self._ahead[:room])
            taken, self._ahead = self._ahead[:count], self._ahead[count:]
            return taken
        taken = self._next(room)
        for row in taken:
            row.prefix = 0
        self._recognise(taken, self._prefixes)
        alone = [row for row in taken if self._should_wait(row)] if not idle else []
        for row in alone:
            row.waited = True
        self._ahead = [*alone, *self._ahead]
        return sorted((r for r in taken if r not in alone), key=lambda row: row.prompt)

    def give_back(self, rows: Sequence[Row]) -> None:
        """Put rows back in front; their texts begin anew."""
        for row in rows:
            row.reset()
        self._ahead = [*rows, *self._ahead]

    def _pull(self, count: int) -> None:
        """Take prompts until so many rows are ahead."""
        while not self._ended and len(self._ahead) < count:
            found = next(self._rows, None)
            if found is None:
                self._ended = True
            else:
                self._ahead.append(found)

    def _next(self, room: int) -> list[Row]:
        """Return rows in the order of their prompts; those of one question are not torn apart."""
        count, most = room, room + min(SAME_QUESTION, room // 4)
        self._pull(count + 1)
        while count < min(len(self._ahead), most) and _alike(
            self._ahead[count - 1].prompt, self._ahead[count].prompt
        ):
            count += 1
            self._pull(count + 1)
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken

    def _recognise(self, rows: Sequence[Row], prefixes: PrefixStore) -> None:
        """Set the prefix of each row: what it shares with others here, or with earlier ones."""
        for group in group_by_prefix([row.prompt for row in rows]):
            members = [rows[number] for number in group.members]
            if group.prefix:
                shared = members[0].prompt[: group.prefix]
                length = prefixes.usable(shared, MIN_KEPT) or group.prefix
                for row in members:
                    row.prefix = length
            else:
                for row in members:
                    row.prefix = prefixes.usable(row.prompt[:-1], MIN_KEPT_ALONE)

    def _should_wait(self, row: Row) -> bool:
        """Return whether prompts that share this row's beginning may still come."""
        return not (row.prefix or row.waited or self._ended or len(row.prompt) < MIN_PREFIX)


def _alike(first: Sequence[int], second: Sequence[int]) -> bool:
    """Return whether two prompts differ in their last tokens only: one question, two answers."""
    return common_prefix(first, second, len(first)) >= len(second) - LAST_TOKENS
