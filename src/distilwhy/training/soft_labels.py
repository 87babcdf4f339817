"""The soft term: what a view's tokens cost beside the hard loss, from the teacher's shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from distilwhy.config import SoftSettings
from distilwhy.students.rows import NO_ROW, Batch
from distilwhy.training.divergences import Shares, soft_losses
from distilwhy.training.losses import token_losses
from distilwhy.training.teacher_rows import TeacherRow


class SoftLabels(Protocol):
    """Where a row's soft labels come from: a teacher beside the student, or a store."""

    def of(self, numbers: Sequence[int]) -> tuple[list[TeacherRow], Shares]:
        """Return rows by number, and the teacher's shares at their tokens, row after row."""
        ...


class SoftTerm:
    """Mixes the soft loss into the hard loss of each token that has a soft label.

    A token of a text that the student wrote itself has no hard loss.

    Args:
        settings: The loss and its weight.
        labels: The soft labels.
        views: Numbers of the views that have some.
    """

    def __init__(
        self,
        settings: SoftSettings,
        labels: SoftLabels,
        views: Sequence[int],
    ) -> None:
        self._settings = settings
        self._labels = labels
        self._views = set(views)

    def token_losses(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the loss of each target token, fp32, [targets].

        Args:
            logits: The student's, [targets, vocabulary].
            batch: ``labels``, ``label_views`` and ``label_rows``, each int64, [targets].
        """
        losses = token_losses(logits, batch["labels"])
        found = self._rows(batch)
        if not found:
            return losses
        rows, shares = self._labels.of([number for number, _ in found])
        places = [
            start + place
            for row, (_, start) in zip(rows, found, strict=True)
            for place in row.places
        ]
        index = torch.tensor(places, device=logits.device)
        soft = soft_losses(
            logits[index],
            shares,
            self._settings.loss,
            beta=self._settings.beta,
            temperature=self._settings.temperature,
        )
        weight = torch.zeros_like(losses)
        weight[index] = self._settings.weight
        weight[batch["label_rows"] < NO_ROW] = 1.0
        spread = torch.zeros_like(losses).index_put((index,), soft)
        return (1 - weight) * losses + weight * spread

    def _rows(self, batch: Batch) -> list[tuple[int, int]]:
        """Return the rows with soft labels: number, and place of the first target token."""
        numbers, counts = torch.unique_consecutive(batch["label_rows"], return_counts=True)
        starts = counts.cumsum(0) - counts
        views = batch["label_views"][starts]
        rows = zip(numbers.tolist(), starts.tolist(), views.tolist(), strict=True)
        return [(n, start) for n, start, view in rows if n != NO_ROW and view in self._views]
