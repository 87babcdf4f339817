"""The teacher of soft labels: its distributions at the target tokens of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from distilwhy.generators.prefix_store import PrefixStore
from distilwhy.models.load import LoadedModel
from distilwhy.students.encode import Encoder
from distilwhy.students.forward import target_logits
from distilwhy.training.behind_prefix import LINE_TOKENS, behind_prefix, can_share
from distilwhy.training.divergences import Shares
from distilwhy.training.teacher_rows import TeacherRow


class SoftTeacher:
    """A local model that says how likely each next token of a row is.

    Args:
        loaded: The model, on its device, in evaluation mode.
        encoder: Makes its batches.
        temperature: Divides its logits.
        width: Only so many tokens of the vocabulary are taken, where the student's embedding has
            no more; ``None`` takes all.
        ends: Two tokens that change places: the one that ends the teacher's texts and the one that
            ends the student's.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        encoder: Encoder,
        temperature: float,
        width: int | None = None,
        ends: tuple[int, int] | None = None,
    ) -> None:
        self.loaded = loaded
        self._model: Any = loaded.model
        self._encoder = encoder
        self._temperature = temperature
        self._width = width
        self._ends = ends if ends is None or ends[0] != ends[1] else None

    @torch.no_grad()
    def shares(self, rows: Sequence[TeacherRow]) -> Shares:
        """Return the distributions at the rows' tokens ``theirs``, row by row.

        Args:
            rows: The rows, in any order.
        """
        # The teacher has the precision of its weights, whatever the student is trained in.
        with torch.autocast(self._model.device.type, enabled=False):
            shared = any(row.prefix for row in rows) and self._prefixes is not None
            logits = self._behind_prefixes(rows) if shared else self._together(rows)
        logits = logits[:, : self._width].float() / self._temperature
        if self._ends is not None:
            here, there = self._ends
            logits[:, [here, there]] = logits[:, [there, here]]
        return Shares(logits.log_softmax(-1))

    def _together(self, rows: Sequence[TeacherRow]) -> torch.Tensor:
        """Return logits from one forward pass over the rows as they are."""
        numbered = [replace(row.row, number=number) for number, row in enumerate(rows)]
        batch = {k: v.to(self._model.device) for k, v in self._encoder.collate(numbered).items()}
        logits = target_logits(self._model, batch)
        numbers, counts = torch.unique_consecutive(batch["label_rows"], return_counts=True)
        starts = dict(zip(numbers.tolist(), (counts.cumsum(0) - counts).tolist(), strict=True))
        places = [starts[n] + place for n, row in enumerate(rows) for place in row.theirs]
        return logits[torch.tensor(places, device=logits.device)]

    def _behind_prefixes(self, rows: Sequence[TeacherRow]) -> torch.Tensor:
        """Return logits from a forward pass over what the rows have behind their beginnings."""
        store = self._prefixes
        assert store is not None
        found: dict[int, torch.Tensor] = {}
        for beginning, numbers in _lines(rows):
            parts = [rows[number] for number in numbers]
            lines = [[*r.row.source[r.prefix :], *r.row.target[:-1]] for r in parts]
            counted = [len(r.row.target) - r.row.given for r in parts]
            logits = behind_prefix(self._model, store.get(beginning), lines, counted)
            pieces = zip(numbers, parts, torch.split(logits, counted), strict=True)
            found |= {number: piece[list(row.theirs)] for number, row, piece in pieces}
        return torch.cat([found[number] for number in range(len(rows))])

    @cached_property
    def _prefixes(self) -> PrefixStore | None:
        return PrefixStore(self._model) if can_share(self._model) else None


def _lines(rows: Sequence[TeacherRow]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Yield beginnings and the numbers of rows that stand behind each in one line."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.row.source[: row.prefix], []).append(number)
    for beginning, members in groups.items():
        line: list[int] = []
        tokens = 0
        for number in members:
            size = rows[number].row.tokens - rows[number].prefix
            if line and tokens + size > LINE_TOKENS:
                yield beginning, line
                line, tokens = [], 0
            line.append(number)
            tokens += size
        yield beginning, line
