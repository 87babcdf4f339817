"""Many rows behind one beginning that is computed once, in one line of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from distilwhy.generators.prefix_store import PrefixStore
from distilwhy.generators.shared_attention import Prefix
from distilwhy.models.cache import with_cache
from distilwhy.models.logits import logits_only_at

LINE_TOKENS = 1024  # tokens in one line; attention between rows of a longer one costs too much


def behind_prefix(
    model: Any, prefix: Prefix, lines: Sequence[Sequence[int]], counted: Sequence[int]
) -> torch.Tensor:
    """Return logits of the tokens that end rows, [counted tokens, vocabulary], row after row.

    Args:
        model: A decoder-only model for which :func:`can_share` holds.
        prefix: What all rows begin with.
        lines: Each row's tokens behind it, the last of its target left out.
        counted: How many positions of each row, from its end, logits are wanted at.
    """
    device, start = model.device, len(prefix.ids)
    cache = DynamicCache(config=model.config)
    for layer, (keys, values) in enumerate(zip(prefix.keys, prefix.values, strict=True)):
        cache.update(keys[None], values[None], layer)
    sizes = [len(line) for line in lines]
    owners = torch.arange(len(lines)).repeat_interleave(torch.tensor(sizes))
    own = (owners[:, None] == owners[None, :]).tril()
    allowed = torch.cat([torch.ones(len(owners), start, dtype=torch.bool), own], 1)
    mask = torch.zeros(allowed.shape, dtype=model.dtype)
    mask.masked_fill_(~allowed, torch.finfo(model.dtype).min)
    select = [
        place >= size - last
        for size, last in zip(sizes, counted, strict=True)
        for place in range(size)
    ]
    with logits_only_at(model, torch.tensor([select], device=device)):
        logits: torch.Tensor = model(
            input_ids=torch.tensor([[token for line in lines for token in line]], device=device),
            position_ids=torch.tensor(
                [[start + n for size in sizes for n in range(size)]], device=device
            ),
            attention_mask=mask[None, None].to(device),
            **with_cache(cache),
            use_cache=True,
        ).logits
    return logits


@torch.no_grad()
def can_share(model: Any) -> bool:
    """Return whether rows behind a shared beginning have a model's plain logits: a trial tells."""
    plain = all(type(x) is DynamicLayer for x in DynamicCache(config=model.config).layers)
    if model.config.is_encoder_decoder or not plain:
        return False
    start, rows = [3 + number % 5 for number in range(40)], [[4, 5, 3, 6], [6, 3]]
    try:
        wanted = torch.cat(
            [
                model(input_ids=torch.tensor([start + row], device=model.device)).logits[0, -2:]
                for row in rows
            ]
        ).float()
        prefix = PrefixStore(model).get(start)
        found = behind_prefix(model, prefix, rows, [2, 2]).float()
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError):
        return False
    tolerance = 1e-4 if model.dtype == torch.float32 else 0.05
    return bool((found - wanted).norm() <= tolerance * wanted.norm())
