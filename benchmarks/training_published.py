"""The two published ways of training, rebuilt from their description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer

from distilwhy.students.rows import EncodedRow
from distilwhy.training.trainer import ViewTrainer

CHUNK = 1000
"""Examples that an encoder-decoder's rows are padded together with."""
LONGEST = 300
IGNORED = -100


class PublishedTrainer(Trainer):
    """One forward pass a view, padded rows, logits at every position.

    Args:
        ours: Our trainer of the same run; its model, arguments and weights are taken over.
        groups: The rows of each example, one a view, in the order of the epoch.
    """

    def __init__(self, ours: ViewTrainer, groups: Sequence[Sequence[EncodedRow]]) -> None:
        args: Any = ours.args
        args.gradient_accumulation_steps = 1
        super().__init__(ours.model, args, train_dataset=list(groups))
        self.remove_callback(PrinterCallback)
        self.weights = ours.weights
        self.pad = ours.encoder.tokenizer.pad_token_id
        self.start = ours.encoder.decoder_start
        self.tokens = self.positions = 0
        self.is_encoder_decoder = ours.encoder.is_encoder_decoder
        self.longest = [
            (
                min(LONGEST, max(len(group[view].source) for group in groups[:CHUNK])),
                min(LONGEST, max(len(group[view].target) for group in groups[:CHUNK])),
            )
            for view in range(len(self.weights))
        ]

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return batches of examples, in order, as a list of one batch a view."""
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset, batch_size=self.args.train_batch_size, collate_fn=self._collate
        )
        return self.accelerator.prepare(loader)

    def _collate(self, groups: Sequence[Sequence[EncodedRow]]) -> dict[str, Any]:
        make = self._encoder_decoder if self.is_encoder_decoder else self._decoder_only
        return {"views": [make(list(rows)) for rows in zip(*groups, strict=True)]}

    def _encoder_decoder(self, rows: list[EncodedRow]) -> dict[str, torch.Tensor]:
        source, target = self.longest[rows[0].view]
        decoder = [(self.start, *row.target[:-1]) for row in rows]
        return {
            "input_ids": _padded([row.source for row in rows], self.pad, source),
            "attention_mask": _padded([[1] * len(row.source) for row in rows], 0, source),
            "decoder_input_ids": _padded(decoder, self.pad, target),
            "labels": _padded([row.target for row in rows], IGNORED, target),
        }

    def _decoder_only(self, rows: list[EncodedRow]) -> dict[str, torch.Tensor]:
        lines = [row.source + row.target for row in rows]
        labels = [[IGNORED] * len(row.source) + list(row.target) for row in rows]
        width = max(map(len, lines))
        return {
            "input_ids": _padded(lines, self.pad, width),
            "attention_mask": _padded([[1] * len(line) for line in lines], 0, width),
            "labels": _padded(labels, IGNORED, width),
        }

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the weighted sum of each view's mean token loss, as the model computes it."""
        losses = []
        for batch in inputs["views"]:
            self.tokens += int(batch["attention_mask"].sum() + self._decoder_tokens(batch))
            self.positions += sum(
                batch[name].numel() for name in ("input_ids", "decoder_input_ids") if name in batch
            )
            losses.append(model(**batch, use_cache=False).loss)
        return (torch.stack(losses) * self.weights).sum()

    def _decoder_tokens(self, batch: dict[str, torch.Tensor]) -> int:
        return int((batch["labels"] != IGNORED).sum()) if self.is_encoder_decoder else 0


def _padded(lines: Sequence[Sequence[int]], value: int, width: int) -> torch.Tensor:
    return torch.tensor([[*line[:width], *[value] * (width - len(line))] for line in lines])
