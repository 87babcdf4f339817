"""Which models keep several texts in one line apart, and read what they share once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

FORBIDDEN = -1e9
SHARED = -1
"""In place of a text's number, where a position is of the beginning that all texts share."""


def shared_attention(owners: torch.Tensor) -> torch.Tensor:
    """Return which positions of a line attend to which: each to earlier ones, shared or its own.

    Args:
        owners: int64, [lines, positions], the number of the text that each is of, from 0, or
            :data:`SHARED`; any other number keeps positions, such as padding, to themselves.

    Returns:
        bool, [lines, 1, queries, keys], as models with fused attention take it in any precision.
    """
    queries, keys = owners[:, None, :, None], owners[:, None, None, :]
    width = owners.shape[1]
    earlier = torch.ones(width, width, dtype=torch.bool, device=owners.device).tril()
    return ((keys == queries) | (keys == SHARED)) & earlier


@torch.inference_mode()
def can_pack(model: Any) -> bool:
    """Return whether a model keeps packed rows apart: a trial compares logits with a row's alone.

    Recurrent decoder-only models, and old ones that ignore positions, do not; nor do
    encoder-decoder models that count positions from the start of a line. Their rows are padded.
    """
    model.eval()
    trial = _try_pairs if model.config.is_encoder_decoder else _try_lines
    try:
        alone, packed = trial(model)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    return bool(torch.allclose(alone, packed, atol=1e-3, rtol=1e-3))


@contextmanager
def cross_attention_mask(model: Any, mask: torch.Tensor | None) -> Iterator[None]:
    """Make an encoder-decoder model's decoder attend to its own part of the encoder's line.

    Models take one mask for both the encoder and the way from the decoder to it, which is not
    enough when lines hold several rows.

    Args:
        model: The model, wrapped by peft or not.
        mask: fp32, [lines, 1, decoder positions, encoder positions], added to the scores;
            ``None`` leaves the model as it is.
    """
    if mask is None:
        yield
        return

    def replace(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, kwargs | {"encoder_attention_mask": mask}

    handle = model.get_decoder().register_forward_pre_hook(replace, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@torch.inference_mode()
def can_share_sources(model: Any) -> bool:
    """Return whether rows behind one source have the logits that they have alone, as a trial shows.

    Decoder-only models do that take a mask of their own in every layer; a window that slides, or a
    state that is passed on, would not follow it.
    """
    model.eval()
    layers = DynamicCache(config=model.config).layers
    if any(type(layer) is not DynamicLayer for layer in layers):
        return False
    try:
        alone, shared = (logits.float() for logits in _try_shared(model))
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    tolerance = 1e-4 if model.dtype == torch.float32 else 0.05
    return bool((shared - alone).norm() <= tolerance * alone.norm())


def _try_shared(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of two texts alone, and of both behind the beginning that they share."""
    source, texts = [5, 6, 7, 8], ([9, 10], [11, 12, 13])
    rows = [
        model(input_ids=torch.tensor([[*source, *text]], device=model.device)).logits[0, 4:]
        for text in texts
    ]
    owners = torch.tensor([[*[SHARED] * 4, 0, 0, 1, 1, 1]], device=model.device)
    shared = model(
        input_ids=torch.tensor([[*source, *texts[0], *texts[1]]], device=model.device),
        position_ids=torch.tensor([[0, 1, 2, 3, 4, 5, 4, 5, 6]], device=model.device),
        attention_mask=shared_attention(owners),
        use_cache=False,
    ).logits[0, 4:]
    return torch.cat(rows), shared


def _try_lines(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of a row alone and of the same row packed behind another."""
    first, second = [5, 6, 7, 8], [9, 10, 11]
    alone = model(input_ids=torch.tensor([second], device=model.device)).logits[0]
    packed = model(
        input_ids=torch.tensor([first + second], device=model.device),
        position_ids=torch.tensor([[0, 1, 2, 3, 0, 1, 2]], device=model.device),
        use_cache=False,
    ).logits[0, len(first) :]
    return alone, packed


def _try_pairs(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of a pair alone and of the same pair packed behind another."""
    device = model.device

    def forbid(queries: list[int], keys: list[int], causal: bool = False) -> torch.Tensor:
        rows, columns = torch.tensor(queries), torch.tensor(keys)
        allowed = rows[:, None] == columns[None, :]
        allowed = allowed.tril() if causal else allowed
        return torch.zeros(allowed.shape).masked_fill_(~allowed, FORBIDDEN)[None, None].to(device)

    alone = model(
        input_ids=torch.tensor([[9, 10, 11]], device=device),
        decoder_input_ids=torch.tensor([[12, 13]], device=device),
    ).logits[0]
    sources, targets = [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]
    with cross_attention_mask(model, forbid(targets, sources)):
        packed = model(
            input_ids=torch.tensor([[5, 6, 9, 10, 11]], device=device),
            attention_mask=forbid(sources, sources),
            decoder_input_ids=torch.tensor([[7, 8, 5, 12, 13]], device=device),
            decoder_attention_mask=forbid(targets, targets, causal=True),
            use_cache=False,
        ).logits[0, 3:]
    return alone, packed
