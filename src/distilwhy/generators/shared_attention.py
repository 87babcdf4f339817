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
class Block:
    """Rows of a pass with about as many tokens each, which stand one after another in its line.

    Args:
        rows: Their slots, int64, [rows], or a slice.
        places: int64, [rows, Q], each token's place in its row, the prefix not counted; rows that
            are shorter are padded with whatever.
        padded: int64, [rows, Q], the tokens' numbers among the block's; ``None`` where every row
            has one token.
        packed: int64, [tokens], where each token stands in ``padded``, flattened.
    """

    rows: torch.Tensor | slice
    places: torch.Tensor
    padded: torch.Tensor | None = None
    packed: torch.Tensor | None = None


@dataclass(frozen=True)
class Pass:
    """One forward pass over tokens of several rows, packed into one line of N tokens.

    Args:
        slots: int64, [M], slots that a token's keys and values are stored in: one for each token,
            more for those of a beginning that several rows share.
        places: int64, [M], its place there, the prefix not counted.
        sources: int64, [M], the token's number in the line; ``None`` for each token once, in order.
        blocks: The line, cut into rows of about one length.
        groups: Prefixes with the numbers of the tokens that stand behind each; ``None`` for all.
    """

    slots: torch.Tensor
    places: torch.Tensor
    sources: torch.Tensor | None
    blocks: Sequence[Block]
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
        self._masks: list[torch.Tensor] = []

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
        self._masks = [self._mask(block) for block in new.blocks]

    def _mask(self, block: Block) -> torch.Tensor:
        """Return what is added to the scores of a block's own tokens, [rows, 1, 1, Q, width]."""
        width = self.keys.shape[3]
        if isinstance(block.rows, torch.Tensor):
            # These rows' keys are copied anyway, so only those that are there; a part of a slice
            # would be copied in every product.
            width = int(block.places.max()) + 1
        columns = torch.arange(width, device=block.places.device)
        allowed = columns <= block.places[..., None]
        mask = torch.zeros(allowed.shape, device=allowed.device)
        return mask.masked_fill_(~allowed, -torch.inf)[:, None, None]

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
        for store, new in ((self.keys, key), (self.values, value)):
            lines = new[0].transpose(0, 1)
            stored = lines if now.sources is None else lines[now.sources]
            store[layer][now.slots, :, now.places] = stored
        queries = query.view(heads, -1, count, size)
        out, top, total = self._own(layer, queries, now.blocks, scaling)
        for prefix, tokens in now.groups:
            lines = queries if tokens is None else queries[:, :, tokens]
            prefixed = _over_prefix(
                lines.reshape(heads, -1, size), prefix.keys[layer], prefix.values[layer], scaling
            )
            other, other_top, other_total = (x.reshape(*lines.shape[:3], -1) for x in prefixed)
            if tokens is None:
                out, total = _merged(out, top, total, other, other_top, other_total)
            else:
                behind = (x[:, :, tokens] for x in (out, top, total))
                parts = (*behind, other, other_top, other_total)
                out[:, :, tokens], total[:, :, tokens] = _merged(*parts)
        out = (out / total).to(query.dtype)
        return out.permute(2, 0, 1, 3).reshape(1, count, -1, size)

    def _own(
        self, layer: int, queries: torch.Tensor, blocks: Sequence[Block], scaling: float
    ) -> list[torch.Tensor]:
        """Return sum, maximum and weight of each token's attention to its own row."""
        sizes = [x.places.numel() if x.packed is None else len(x.packed) for x in blocks]
        parts = [
            self._own_of(layer, lines, block, mask, scaling)
            for lines, block, mask in zip(
                torch.split(queries, sizes, 2), blocks, self._masks, strict=True
            )
        ]
        return [torch.cat(pieces, 2) for pieces in zip(*parts, strict=True)]

    def _own_of(
        self, layer: int, queries: torch.Tensor, block: Block, mask: torch.Tensor, scaling: float
    ) -> list[torch.Tensor]:
        """Return what :meth:`_own` does, of one block."""
        heads, group, _, size = queries.shape
        if block.padded is not None:
            queries = queries[:, :, block.padded.flatten()]
        rows, width = len(mask), mask.shape[-1]
        lines = queries.view(heads, group, rows, -1, size).permute(2, 0, 1, 3, 4)
        shape = lines.shape[:-1]
        keys, values = (x[layer, block.rows, :, :width] for x in (self.keys, self.values))
        parts = _part(lines.reshape(rows, heads, -1, size), keys, values, scaling, mask)
        flat = [x.view(*shape, -1).permute(1, 2, 0, 3, 4).flatten(2, 3) for x in parts]
        return flat if block.packed is None else [x[:, :, block.packed] for x in flat]


def _over_prefix(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float
) -> list[torch.Tensor]:
    """Return what :func:`_part` does, of lines that all stand behind one prefix.

    Together they are long enough for the fused kernel, whose scores never leave the processor's
    cache; torch's public function does not return their weights.
    """
    if queries.device.type != "cpu":
        return list(_part(queries, keys, values, scaling))
    fused: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, weight = fused(queries[None], keys[None], values[None], scale=scaling)
    # Already divided by the weight, whose logarithm stands for greatest score and weight in one.
    weight = weight[0, ..., None]
    return [out[0].float(), weight, torch.ones_like(weight)]


def _part(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weighted values [..., lines, head size], greatest scores and weights [..., lines, 1].

    Plain products, as the fused kernel takes each of many short rows by itself, slower.
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
