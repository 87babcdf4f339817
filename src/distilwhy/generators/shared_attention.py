"""Attention over a prefix that many texts share, and over what each text has of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "distilwhy_shared"
"""The attention implementation's name in transformers."""


CACHED_SCORES = 800_000  # so many fit into a processor's cache


@dataclass(frozen=True, eq=False)
class Prefix:
    """The beginning of prompts, computed once.

    Args:
        ids: Its tokens.
        keys: [layers, key-value heads, tokens, head size].
        values: As ``keys``.
    """

    ids: tuple[int, ...]
    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True)
class Pass:
    """One forward pass over tokens of several rows, packed into one line of N tokens.

    Args:
        slots: int64, [N], the slot of each token's row.
        places: int64, [N], the token's place in its row, the prefix not counted.
        rows: The slots of the rows in the pass, int64, [rows], or a slice.
        padded: int64, [rows, Q], for each row its tokens' numbers in the line, padded with
            whatever; ``None`` where every row has one token, in the slots' order.
        packed: int64, [N], where each token of the line stands in ``padded``, flattened.
        groups: Prefixes with the numbers of the tokens that stand behind each; ``None`` for all.
    """

    slots: torch.Tensor
    places: torch.Tensor
    rows: torch.Tensor | slice
    padded: torch.Tensor | None
    packed: torch.Tensor | None
    groups: Sequence[tuple[Prefix, torch.Tensor | None]]


class SlotCache:
    """Keys and values of rows behind their prefixes, in slots that are used again and again.

    Args:
        shape: Layers, key-value heads and size of a head.
        dtype: The model's dtype.
        device: The model's device.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device
    ) -> None:
        layers, heads, size = shape
        self.keys = torch.zeros(layers, 0, heads, 0, size, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self._pass: Pass | None = None
        self._mask = torch.zeros(0)

    def reserve(self, rows: int, tokens: int) -> None:
        """Make room for so many rows of so many tokens; what is there stays."""
        _, slots, _, width, _ = self.keys.shape
        if rows <= slots and tokens <= width:
            return
        for name in ("keys", "values"):
            old: torch.Tensor = getattr(self, name)
            layers, _, heads, _, size = old.shape
            # Zeros: what is masked is multiplied by zero, and must not be infinite.
            new = old.new_zeros(layers, max(rows, slots), heads, max(tokens, width), size)
            new[:, :slots, :, :width] = old
            setattr(self, name, new)

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy a row's first tokens to another slot."""
        for store in (self.keys, self.values):
            store[:, target, :, :tokens] = store[:, source, :, :tokens]

    def begin(self, new: Pass) -> None:
        """Set what the next forward pass is about."""
        self._pass = new
        # The whole width: a part of it would be copied in every product.
        columns = torch.arange(self.keys.shape[3], device=new.places.device)
        places = new.places[:, None] if new.padded is None else new.places[new.padded]
        allowed = columns <= places[..., None]
        mask = torch.zeros(allowed.shape, device=allowed.device)
        self._mask = mask.masked_fill_(~allowed, -torch.inf)[:, None, None]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        """Store a layer's new keys and values and return its attention.

        Softmax over two parts equals softmax over both: each part keeps its maximum and its sum
        (as in FlashAttention), so a prefix is read once for all rows behind it.

        Args:
            layer: Number of the layer.
            query: [1, heads, N, head size].
            key: [1, key-value heads, N, head size].
            value: As ``key``.
            scaling: Factor of the scores.

        Returns:
            [1, N, heads, head size].
        """
        now = self._pass
        assert now is not None
        heads, count, size = key.shape[1:]
        self.keys[layer][now.slots, :, now.places] = key[0].transpose(0, 1)
        self.values[layer][now.slots, :, now.places] = value[0].transpose(0, 1)
        queries = query.view(heads, -1, count, size)
        out, top, total = self._own(layer, queries, now, scaling)
        for prefix, tokens in now.groups:
            lines = queries if tokens is None else queries[:, :, tokens]
            prefixed = _over_prefix(
                lines.reshape(heads, -1, size), prefix.keys[layer], prefix.values[layer], scaling
            )
            other, other_top, other_total = (x.view(*lines.shape[:3], -1) for x in prefixed)
            if tokens is None:
                out, total = _merged(out, top, total, other, other_top, other_total)
            else:
                behind = (x[:, :, tokens] for x in (out, top, total))
                parts = (*behind, other, other_top, other_total)
                out[:, :, tokens], total[:, :, tokens] = _merged(*parts)
        out = (out / total).to(query.dtype)
        return out.permute(2, 0, 1, 3).reshape(1, count, -1, size)

    def _own(
        self, layer: int, queries: torch.Tensor, now: Pass, scaling: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return sum, maximum and weight of each token's attention to its own row."""
        heads, group, _, size = queries.shape
        if now.padded is not None:
            queries = queries[:, :, now.padded.flatten()]
        rows = len(self._mask)
        lines = queries.view(heads, group, rows, -1, size).permute(2, 0, 1, 3, 4)
        shape = lines.shape[:-1]
        keys, values = self.keys[layer][now.rows], self.values[layer][now.rows]
        parts = _part(lines.reshape(rows, heads, -1, size), keys, values, scaling, self._mask)
        flat = [x.view(*shape, -1).permute(1, 2, 0, 3, 4).flatten(2, 3) for x in parts]
        if now.packed is not None:
            flat = [x[:, :, now.packed] for x in flat]
        out, top, total = flat
        return out, top, total


def _over_prefix(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float
) -> list[torch.Tensor]:
    """Return what :func:`_part` does, for a few lines at a time, whose scores stay in the cache."""
    lines = max(1, CACHED_SCORES // (keys.shape[0] * keys.shape[1]))
    parts = [_part(some, keys, values, scaling) for some in torch.split(queries, lines, 1)]
    return [torch.cat(pieces, 1) for pieces in zip(*parts, strict=True)]


def _part(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weighted values [..., lines, head size], greatest scores and weights [..., lines, 1].

    Plain products, as the fused kernel takes each of many short rows by itself.
    """
    scores = torch.matmul(queries, keys.transpose(-1, -2)).float().mul_(scaling)
    if mask is not None:
        rows, heads, _, width = scores.shape
        scores.view(rows, heads, -1, mask.shape[-2], width).add_(mask)
    top = scores.amax(-1, keepdim=True)
    weights = scores.sub_(top).exp_()
    total = weights.sum(-1, keepdim=True)
    return torch.matmul(weights.to(values.dtype), values).float(), top, total


def _merged(
    out: torch.Tensor,
    top: torch.Tensor,
    total: torch.Tensor,
    other: torch.Tensor,
    other_top: torch.Tensor,
    other_total: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weighted values and weights of two parts together."""
    both = torch.maximum(top, other_top)
    here, there = (top - both).exp_(), (other_top - both).exp_()
    return out * here + other * there, total * here + other_total * there


def use_shared_attention(model: Any) -> bool:
    """Switch a model's attention so that it can share prefixes; return whether that was possible.

    Calls without a :class:`SlotCache` are served as before.
    """
    if getattr(model.config, "_attn_implementation", None) not in ("sdpa", NAME):
        return False
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    slot_cache: SlotCache | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    if slot_cache is None:
        plain: Any = sdpa_attention_forward
        output = plain(module, query, key, value, attention_mask, scaling=scaling, **others)
        return output[0], None
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: Any = module.layer_idx
    return slot_cache.attend(int(layer), query, key, value, factor), None
