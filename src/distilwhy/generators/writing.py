"""Writing texts token by token: rows join and leave, and memory that runs out halves the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from distilwhy.errors import ModelError
from distilwhy.generators.base import Decoding, Finish
from distilwhy.generators.continuations import Continuation, PromptIds
from distilwhy.generators.prefixes import MIN_PREFIX, common_prefix
from distilwhy.generators.row_budget import RowBudget, clock
from distilwhy.generators.rows import Row, RowQueue
from distilwhy.models.memory import is_out_of_memory

REFILL_SHARE = 0.25  # of the batch must be free before rows join: a pass of its own costs time


class Writer:
    """Writes the rows of a queue with one model.

    Args:
        continuation: The model at work.
        queue: The rows.
        decoding: How to decode.
        budget: Tells how many rows are written together, and is told how long steps take.
        finished: Tells whether a row's text ends with its last token, and how.
        name: The model's name, for messages.
    """

    def __init__(
        self,
        continuation: Continuation,
        queue: RowQueue,
        decoding: Decoding,
        budget: RowBudget,
        finished: Callable[[Row], Finish | None],
        name: str,
    ) -> None:
        self._continuation = continuation
        self._queue = queue
        self._decoding = decoding
        self._finished = finished
        self._name = name
        self._budget = budget
        self._limit: int | None = None
        """Rows that memory had room for, once it ran out."""
        self._rows: list[Row] = []
        # With contrast each row has two lines: its own, and the one that it is contrasted with.
        self._lines: list[tuple[Row, bool]] = []

    @torch.inference_mode()
    def write(self) -> Iterator[tuple[Row, Finish]]:
        """Yield each row as its text ends."""
        while self._rows or not self._queue.is_empty:
            yield from self._take_in()
            if self._rows:
                yield from self._step()

    def _take_in(self) -> Iterator[tuple[Row, Finish]]:
        room = self._room()
        fresh = self._queue.take(room, idle=not self._rows) if room else []
        if not fresh:
            return
        lines = [(row, against) for row in fresh for against in self._sides(row)]
        try:
            logits = self._continuation.start([_prompt_ids(*line) for line in lines])
        except Exception as error:
            self._queue.give_back(fresh)
            self._halve(error, len(self._rows) + len(fresh))
            return
        self._rows += fresh
        self._lines += lines
        yield from self._write(logits, lines)

    @property
    def _most(self) -> int:
        """Rows that may be written together."""
        return min(self._budget.rows, self._limit or self._budget.rows)

    def _step(self) -> Iterator[tuple[Row, Finish]]:
        begun, rows = clock(self._device), len(self._rows)
        last = [row.written[-1] for row, _ in self._lines]
        try:
            logits = self._continuation.step(torch.tensor(last, device=self._device))
        except Exception as error:
            self._halve(error, len(self._rows))
            # A padded batch may have kept the token in some layers only, so none of it goes on.
            self._give_back(self._rows[self._most if self._continuation.joins else 0 :])
            return
        # The tokens are known by then, so a GPU is done with the step.
        ended = self._write(logits, self._lines)
        self._budget.note(rows, clock(self._device) - begun)
        yield from ended

    def _room(self) -> int:
        """Return how many rows may join."""
        if not self._rows:
            return self._most
        # Memory is looked at only when rows may join: at most steps none may.
        if not self._continuation.joins or not self._refills(self._most):
            return 0
        longest = max(len(row.prompt) - row.prefix for row in self._rows)
        tokens = longest + self._decoding.max_new_tokens
        limit = self._continuation.limit(tokens * len(self._sides(self._rows[0])))
        most = min(self._most, limit)
        return most - len(self._rows) if self._refills(most) else 0

    def _refills(self, most: int) -> bool:
        """Return whether so much of a batch of at most so many rows is free that some may join."""
        return most - len(self._rows) >= REFILL_SHARE * most

    def _write(
        self, logits: torch.Tensor, lines: Sequence[tuple[Row, bool]]
    ) -> list[tuple[Row, Finish]]:
        """Add a token to each row and return the rows that end with it."""
        self._device = logits.device
        rows = [row for row, against in lines if not against]
        logits = self._contrasted(logits, lines)
        chosen = _choose(logits, rows, self._decoding)
        if self._decoding.logprobs:
            _add_logprobs(logits, rows, chosen)
        for row, token in zip(rows, chosen, strict=True):
            row.written.append(token)
        endings = {id(row): finish for row in rows if (finish := self._finished(row))}
        if endings:
            self._keep([row for row in self._rows if id(row) not in endings])
        return [(row, endings[id(row)]) for row in rows if id(row) in endings]

    def _contrasted(self, logits: torch.Tensor, lines: Sequence[tuple[Row, bool]]) -> torch.Tensor:
        """Return log p(token | prompt) - λ log p(token | contrasted prompt), row by row."""
        if not self._decoding.contrast:
            return logits
        logprobs = logits.float().log_softmax(-1)
        place = {(id(row), against): number for number, (row, against) in enumerate(lines)}
        own = [place[id(row), False] for row, against in lines if not against]
        other = [place[id(row), True] for row, against in lines if not against]
        return logprobs[own] - self._decoding.contrast * logprobs[other]

    def _sides(self, row: Row) -> tuple[bool, ...]:
        return (False, True) if self._decoding.contrast else (False,)

    def _keep(self, rows: Sequence[Row]) -> None:
        kept = {id(row) for row in rows}
        numbers = [n for n, (row, _) in enumerate(self._lines) if id(row) in kept]
        order = self._continuation.keep(numbers)
        self._lines = [self._lines[number] for number in order]
        self._rows = [row for row, against in self._lines if not against]

    def _give_back(self, rows: Sequence[Row]) -> None:
        """Stop writing some rows; they begin anew when there is room."""
        given = {id(row) for row in rows}
        self._keep([row for row in self._rows if id(row) not in given])
        self._queue.give_back(rows)

    def _halve(self, error: Exception, rows: int) -> None:
        """Go on with half as many rows, or raise what it was if it was not for want of memory."""
        if not is_out_of_memory(error):
            raise error
        if rows <= 1:
            raise ModelError(
                f"{self._name} ran out of memory with a single text.",
                "Use fewer shots, a lower max_new_tokens or a smaller model.",
            ) from error
        self._limit = min(self._most, rows // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _prompt_ids(row: Row, against: bool) -> PromptIds:
    if not against:
        return PromptIds(row.prompt, row.prefix, row.begun)
    assert row.against is not None
    shared = common_prefix(row.prompt, row.against, row.prefix)
    return PromptIds(row.against, shared if shared >= MIN_PREFIX else 0)


def _choose(logits: torch.Tensor, rows: Sequence[Row], decoding: Decoding) -> list[int]:
    if decoding.temperature <= 0:
        return list(logits.argmax(-1).tolist())
    shares = (logits.float() / decoding.temperature).softmax(-1)
    return [
        int(torch.multinomial(share, 1, generator=row.sampler))
        for share, row in zip(shares, rows, strict=True)
    ]


def _add_logprobs(logits: torch.Tensor, rows: Sequence[Row], chosen: Sequence[int]) -> None:
    tokens = torch.tensor(chosen, device=logits.device)
    logprobs = logits.float().log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
    for row, value in zip(rows, logprobs.tolist(), strict=True):
        row.logprob += value
