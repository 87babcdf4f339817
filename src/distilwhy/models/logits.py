"""Logits only where they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel


@contextmanager
def logits_only_at(model: PreTrainedModel, select: torch.Tensor) -> Iterator[None]:
    """Make a model compute logits only at chosen positions.

    The vocabulary projection is the widest product of a small model; positions in the source or in
    padding need none. Whatever the model does to logits after the projection stays in place.

    Args:
        model: Any model with output embeddings, wrapped by peft or not.
        select: bool, [rows, positions] of the decoder. Within the context the model's logits have
            shape [number of True, vocabulary], in reading order.
    """
    head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]

    def keep_selected(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (inputs[0][select],)

    handle = head.register_forward_pre_hook(keep_selected)
    try:
        yield
    finally:
        handle.remove()
