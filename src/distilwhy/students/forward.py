"""One forward pass over a batch of rows: logits of the target tokens, and of nothing else."""

from __future__ import annotations

from typing import Any

import torch

from distilwhy.models.logits import logits_only_at
from distilwhy.models.packing import cross_attention_mask
from distilwhy.students.rows import Batch

TOKEN_INPUTS = ("input_ids", "decoder_input_ids")
_NOT_FOR_THE_MODEL = (
    "select",
    "labels",
    "label_views",
    "label_rows",
    "tokens",
    "cross_attention_mask",
)


def target_logits(model: Any, batch: Batch, bare: Any = None) -> torch.Tensor:
    """Return the logits of a batch's target tokens, [targets, vocabulary], in the labels' order.

    Args:
        model: The model.
        batch: What an encoder's ``collate`` returned, on the model's device.
        bare: The model itself, where ``model`` is a wrapper that spreads it over processes.
    """
    inputs = {k: v for k, v in batch.items() if k not in _NOT_FOR_THE_MODEL}
    bare, across = model if bare is None else bare, batch.get("cross_attention_mask")
    with logits_only_at(bare, batch["select"]), cross_attention_mask(bare, across):
        logits: torch.Tensor = model(**inputs, use_cache=False).logits
    return logits
