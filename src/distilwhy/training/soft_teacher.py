"""The teacher of soft labels: its distributions at the target tokens of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from distilwhy.models.load import LoadedModel
from distilwhy.students.encode import Encoder
from distilwhy.students.forward import target_logits
from distilwhy.students.rows import EncodedRow
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
        self._encoder = encoder
        self._temperature = temperature
        self._width = width
        self._ends = ends if ends is None or ends[0] != ends[1] else None

    @torch.no_grad()
    def shares(self, rows: Sequence[TeacherRow]) -> Shares:
        """Return the distributions at the rows' tokens ``theirs``, row by row.

        Args:
            rows: The rows, in any order; they stand together in one forward pass.
        """
        numbered = [_numbered(row, number) for number, row in enumerate(rows)]
        batch = {
            name: tensor.to(self.loaded.model.device)
            for name, tensor in self._encoder.collate(numbered).items()
        }
        logits = target_logits(self.loaded.model, batch)
        wanted = _places(rows, batch["label_rows"])
        logits = logits[wanted, : self._width].float() / self._temperature
        if self._ends is not None:
            here, there = self._ends
            logits[:, [here, there]] = logits[:, [there, here]]
        return Shares(logits.log_softmax(-1))


def _numbered(row: TeacherRow, number: int) -> EncodedRow:
    return replace(row.row, number=number)


def _places(rows: Sequence[TeacherRow], label_rows: torch.Tensor) -> torch.Tensor:
    """Return where each wanted token of each row stands among a batch's targets."""
    numbers, counts = torch.unique_consecutive(label_rows, return_counts=True)
    starts = dict(zip(numbers.tolist(), (counts.cumsum(0) - counts).tolist(), strict=True))
    places = [starts[number] + place for number, row in enumerate(rows) for place in row.theirs]
    return torch.tensor(places, device=label_rows.device)
