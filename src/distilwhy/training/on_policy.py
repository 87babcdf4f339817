"""On-policy distillation: the student writes targets itself, for the teacher to score."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from distilwhy.generators.base import Decoding
from distilwhy.generators.row_budget import RowBudget
from distilwhy.generators.transformers_local import LocalGenerator
from distilwhy.models.load import LoadedModel
from distilwhy.students.encode import Encoder
from distilwhy.students.rows import NO_ROW, Batch, EncodedRow
from distilwhy.students.views import Row
from distilwhy.training.soft_live import LiveLabels

TEXTS = 64  # written together


class OnPolicy:
    """Replaces a share of a step's targets by what the student writes at that step.

    Texts are sampled at temperature 1 (GKD, Agarwal et al. 2024, algorithm 1). Which rows are, and
    every text, follow from the seed, the step and the weights, so that a resumed run writes what
    an unbroken one would.

    Args:
        student: The student under training.
        encoder: Its encoder.
        labels: Takes the new rows in.
        texts: All training rows.
        rows: The same as tokens; a row's number is its place.
        views: Numbers of the views that are rewritten.
        share: Share of rows rewritten (lambda of GKD), in [0, 1].
        seed: The training seed.
        retokenise: Whether the texts, not the very tokens, are learnt, as another tokenizer's
            tokens are compared with them.
    """

    def __init__(
        self,
        student: LoadedModel,
        encoder: Encoder,
        labels: LiveLabels,
        texts: Sequence[Row],
        rows: Sequence[EncodedRow],
        views: Sequence[int],
        *,
        share: float,
        seed: int,
        retokenise: bool = False,
    ) -> None:
        self._student = student
        self._encoder = encoder
        self._labels = labels
        self._texts = texts
        self._rows = rows
        self._views = set(views)
        self._share = share
        self._seed = seed
        self._retokenise = retokenise
        self._generator: LocalGenerator | None = None

    def rewrite(self, batches: Sequence[Batch], step: int) -> list[Batch]:
        """Return a step's batches with a share of their rows written anew.

        Args:
            batches: The step's batches.
            step: Optimiser steps done so far.
        """
        numbers = [torch.unique(batch["label_rows"]).tolist() for batch in batches]
        chosen = [n for part in numbers for n in part if self._is_chosen(n, step)]
        if not chosen:
            return list(batches)
        written = dict(zip(chosen, self._write(chosen, step), strict=True))
        made = []
        for batch, part in zip(batches, numbers, strict=True):
            rows = [written.get(number, self._rows[number]) for number in part]
            device = batch["labels"].device
            made.append({k: v.to(device) for k, v in self._encoder.collate(rows).items()})
        return made

    def _is_chosen(self, number: int, step: int) -> bool:
        if self._rows[number].view not in self._views or self._texts[number].given:
            return False
        return _draw(self._seed, step, number) < self._share * 2**64

    def _write(self, numbers: Sequence[int], step: int) -> list[EncodedRow]:
        """Have the student write the targets of rows, and the teacher read them."""
        model: Any = self._student.model
        was_training = model.training
        model.eval()
        decoding = Decoding(
            max_new_tokens=self._encoder.max_target_tokens,
            temperature=1.0,
            seed=_draw(self._seed, step),
        )
        if self._generator is None:
            self._generator = LocalGenerator(self._student)
            # As many at all times: how many are written together shows in the last bits.
            self._generator.budget = RowBudget(TEXTS, TEXTS)
        rows = [self._rows[number] for number in numbers]
        prompts = [(row.source, row.target[: row.given]) for row in rows]
        texts = self._generator.write_tokens(prompts, decoding)
        model.train(was_training)
        return [
            self._row(number, tokens, ended=finish == "stop")
            for number, (tokens, finish) in zip(numbers, texts, strict=True)
        ]

    def _row(self, number: int, tokens: Sequence[int], *, ended: bool) -> EncodedRow:
        old, tokenizer = self._rows[number], self._encoder.tokenizer
        # A model may know several end tokens; a student's targets all end with the same.
        end = (int(tokenizer.eos_token_id),) if ended else ()
        kept = list(tokens[:-1] if ended else tokens)
        target = str(tokenizer.decode(kept, skip_special_tokens=True))
        text = replace(self._texts[number], target=target)
        if self._retokenise:
            made = self._encoder.encode(text, old.view)
            kept = list(made.target[made.given : -1])
        whole = (*old.target[: old.given], *kept, *end)
        row = replace(old, target=whole, number=NO_ROW - 1 - number)
        self._labels.add(text, row)
        return row


def _draw(*parts: int) -> int:
    """Return a number below 2**64 that follows from others."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")
