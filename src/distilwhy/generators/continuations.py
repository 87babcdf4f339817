"""A batch of texts in the making: what a model keeps from one token to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import BaseModelOutput


class Continuation(Protocol):
    """A batch of texts that a model goes on writing."""

    def next_logits(self, last: torch.Tensor | None) -> torch.Tensor:
        """Return the logits of each row's next token, [rows, vocabulary].

        Args:
            last: int64, [rows], the tokens written last; ``None`` at the start.
        """
        ...

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only some rows, int64 indices in rising order."""
        ...


def shares_prefixes(config: Any) -> bool:
    """Return whether a decoder's cache of a prefix can serve prompts of different lengths.

    In a sliding window, padding between prefix and prompt would push the prefix out of sight.
    """
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


@torch.inference_mode()
def prefill(model: Any, prefix: Sequence[int]) -> DynamicCache:
    """Return a decoder-only model's cache of a prefix, one row."""
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([list(prefix)], device=model.device)
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


class DecoderContinuation:
    """Decoder-only: prompt and text are one line.

    Args:
        model: The model.
        ids: int64, [rows, tokens], prompts without their shared prefix, padded on the left.
        mask: int64, as ``ids``, 0 at padding.
        prefix: The cache of the shared prefix, if there is one.
    """

    def __init__(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor, prefix: DynamicCache | None
    ) -> None:
        self.model = model
        self.ids = ids
        self.cache = DynamicCache(config=model.config)
        if prefix is not None:
            layers: Any = prefix.layers
            for place, layer in enumerate(layers):
                shape = (len(ids), -1, -1, -1)
                self.cache.update(layer.keys.expand(shape), layer.values.expand(shape), place)
        length = self.cache.get_seq_length()
        self.mask = torch.cat([mask.new_ones(len(ids), length), mask], dim=1)
        self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, length:]

    def next_logits(self, last: torch.Tensor | None) -> torch.Tensor:
        """See :class:`Continuation`."""
        if last is not None:
            self.ids = last[:, None]
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(last), 1)], dim=1)
            self.positions = self.positions[:, -1:] + 1
        logits: torch.Tensor = self.model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[:, -1]

    def keep(self, rows: torch.Tensor) -> None:
        """See :class:`Continuation`."""
        self.cache.batch_select_indices(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]


class EncoderDecoderContinuation:
    """Encoder-decoder: the prompt is encoded once, the text is a line of its own.

    Args:
        model: The model.
        ids: int64, [rows, tokens], prompts, padded on the right.
        mask: int64, as ``ids``, 0 at padding.
    """

    def __init__(self, model: Any, ids: torch.Tensor, mask: torch.Tensor) -> None:
        self.model = model
        self.mask = mask
        encoder = model.get_encoder()
        self.encoded = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        self.cache: Any = None

    def next_logits(self, last: torch.Tensor | None) -> torch.Tensor:
        """See :class:`Continuation`."""
        start = self.model.config.decoder_start_token_id
        tokens = self.mask.new_full((len(self.mask),), start) if last is None else last
        output = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.encoded),
            attention_mask=self.mask,
            decoder_input_ids=tokens[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.cache = output.past_key_values
        logits: torch.Tensor = output.logits
        return logits[:, -1]

    def keep(self, rows: torch.Tensor) -> None:
        """See :class:`Continuation`."""
        self.cache.batch_select_indices(rows)
        self.mask, self.encoded = self.mask[rows], self.encoded[rows]
