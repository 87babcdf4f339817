"""A batch of texts in the making: what a model keeps from one token to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutput

from distilwhy.models.cache import cache_of, with_cache
from distilwhy.models.memory import is_out_of_memory


@dataclass(frozen=True)
class PromptIds:
    """One prompt in tokens.

    Args:
        ids: Its tokens.
        prefix: How many of them are a beginning that other prompts share.
        begun: Tokens that an encoder-decoder's text begins with.
    """

    ids: Sequence[int]
    prefix: int = 0
    begun: Sequence[int] = ()


class Continuation(Protocol):
    """Rows of text that a model goes on writing."""

    joins: bool
    """Whether rows can be taken in while others are being written."""

    def start(self, prompts: Sequence[PromptIds]) -> torch.Tensor:
        """Take rows in and return the logits of their first tokens, [prompts, vocabulary]."""
        ...

    def step(self, last: torch.Tensor) -> torch.Tensor:
        """Return the logits of each row's next token, [rows, vocabulary].

        Args:
            last: int64, [rows], the tokens written last.
        """
        ...

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Keep only some rows; return them in the order in which they stand from now on."""
        ...

    def limit(self, tokens: int) -> int:
        """Return how many rows of so many tokens the memory has room for."""
        ...


class _Padded:
    """What continuations of padded batches have in common; rows leave, but none joins."""

    joins = False

    def __init__(self, model: Any, pad: int) -> None:
        self.model = model
        self.pad = pad
        self.cache: Any = None
        self.mask = torch.zeros(0, dtype=torch.long)

    def limit(self, tokens: int) -> int:
        """See :class:`Continuation`; padded batches find out by running out of memory."""
        return 2**31

    def keep(self, rows: Sequence[int]) -> list[int]:
        """See :class:`Continuation`."""
        self._select(torch.tensor(list(rows), dtype=torch.long, device=self.mask.device))
        return list(rows)

    def _select(self, rows: torch.Tensor) -> None:
        # Unlike batch_select_indices, this knows the states of recurrent layers as well.
        self.cache.reorder_cache(rows)
        self.mask = self.mask[rows]


class DecoderContinuation(_Padded):
    """Decoder-only models of any kind: prompts padded on the left, each computed whole.

    Args:
        model: The model.
        pad: Token to pad with.
    """

    @torch.inference_mode()
    def start(self, prompts: Sequence[PromptIds]) -> torch.Tensor:
        """See :class:`Continuation`."""
        lines = [prompt.ids for prompt in prompts]
        ids, self.mask = pad_lines(lines, self.pad, self.model.device, left=True)
        self.cache = DynamicCache(config=self.model.config)
        self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        return self._forward(ids)

    @torch.inference_mode()
    def step(self, last: torch.Tensor) -> torch.Tensor:
        """See :class:`Continuation`."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(last), 1)], dim=1)
        self.positions = self.positions[:, -1:] + 1
        return self._forward(last[:, None])

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            use_cache=True,
            logits_to_keep=1,
            **with_cache(self.cache),
        ).logits
        return logits[:, -1]

    def _select(self, rows: torch.Tensor) -> None:
        super()._select(rows)
        self.positions = self.positions[rows]


class EncoderDecoderContinuation(_Padded):
    """Encoder-decoder models: the prompt is encoded once, the text is a line of its own.

    Args:
        model: The model.
        pad: Token to pad with.
    """

    @torch.inference_mode()
    def start(self, prompts: Sequence[PromptIds]) -> torch.Tensor:
        """See :class:`Continuation`; all texts begin with the same tokens."""
        lines = [prompt.ids for prompt in prompts]
        ids, self.mask = pad_lines(lines, self.pad, self.model.device)
        encoder = self.model.get_encoder()
        self.encoded = encoder(input_ids=ids, attention_mask=self.mask).last_hidden_state
        self.cache = None
        begun = [self.model.config.decoder_start_token_id, *prompts[0].begun]
        return self._decode(torch.tensor([begun] * len(ids), device=ids.device))

    @torch.inference_mode()
    def step(self, last: torch.Tensor) -> torch.Tensor:
        """See :class:`Continuation`."""
        return self._decode(last[:, None])

    def _decode(self, ids: torch.Tensor) -> torch.Tensor:
        output = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.encoded),
            attention_mask=self.mask,
            decoder_input_ids=ids,
            use_cache=True,
            **with_cache(self.cache),
        )
        self.cache = cache_of(output)
        logits: torch.Tensor = output.logits
        return logits[:, -1]

    def _select(self, rows: torch.Tensor) -> None:
        super()._select(rows)
        self.encoded = self.encoded[rows]


def keeps_its_state(model: Any, pad: int) -> bool:
    """Return whether a decoder-only model goes on with padded rows as it does with each alone.

    A short trial: models that keep a state outside of the cache, or that read the mask of one token
    otherwise than that of many, would write other texts without any error.

    Args:
        model: The model.
        pad: Token to pad with.
    """
    trial = DecoderContinuation(model, pad)
    prompts = [[4, 5, 3, 6, 4, 7], [6, 3]]
    try:
        trial.start([PromptIds(prompt) for prompt in prompts])
        trial.step(torch.tensor([5, 3], device=model.device))
        trial.keep([1])
        found = trial.step(torch.tensor([4], device=model.device)).float()
        wanted = _alone(model, [*prompts[1], 3, 4])
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError, MemoryError) as error:
        # Want of memory, and what fails without a batch too, is for the run itself to meet.
        return is_out_of_memory(error) or not _runs_alone(model, prompts[1])
    tolerance = 1e-4 if model.dtype == torch.float32 else 0.05
    return bool((found - wanted).norm() <= tolerance * wanted.norm())


def _runs_alone(model: Any, ids: Sequence[int]) -> bool:
    try:
        _alone(model, ids)
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError, MemoryError):
        return False
    return True


@torch.inference_mode()
def _alone(model: Any, ids: Sequence[int]) -> torch.Tensor:
    line = torch.tensor([list(ids)], device=model.device)
    logits: torch.Tensor = model(input_ids=line, use_cache=False).logits
    return logits[:, -1].float()


def pad_lines(
    lines: Sequence[Sequence[int]], pad: int, device: torch.device, *, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and mask, both int64, [lines, longest line]."""
    width = max(map(len, lines))
    ids = torch.full((len(lines), width), pad)
    mask = torch.zeros(len(lines), width, dtype=torch.long)
    for number, line in enumerate(lines):
        part = slice(width - len(line), width) if left else slice(0, len(line))
        ids[number, part] = torch.tensor(list(line))
        mask[number, part] = 1
    return ids.to(device), mask.to(device)
