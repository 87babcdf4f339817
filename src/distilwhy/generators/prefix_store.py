"""The latest prefixes of a decoder-only model, each computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from distilwhy.generators.prefixes import MIN_PREFIX, common_prefix
from distilwhy.generators.shared_attention import Prefix
from distilwhy.models.cache import with_cache
from distilwhy.models.memory import available_memory

KEPT_PREFIXES = 16
PREFIX_SHARE = 0.1  # of the memory that is free, for prefixes that no row needs now


class PrefixStore:
    """The latest prefixes of a model, each computed once.

    Args:
        model: A decoder-only model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._kept: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self.computed_tokens = 0
        """Tokens of prefixes computed so far."""

    def usable(self, ids: Sequence[int], share: float) -> int:
        """Return how many tokens of a beginning are worth taking from what is kept.

        Args:
            ids: What prompts have in common.
            share: What is kept must cover so much of it.

        Returns:
            The length of a kept prefix, or of a part of one; 0 where none covers enough.
        """
        least = max(MIN_PREFIX, share * len(ids))
        whole = [len(kept) for kept in self._kept if kept == tuple(ids[: len(kept)])]
        if (longest := max(whole, default=0)) >= least:
            return longest
        parts = [common_prefix(ids, (*kept, -1), len(ids)) for kept in self._kept]
        return longest if (longest := max(parts, default=0)) >= least else 0

    def get(self, ids: Sequence[int]) -> Prefix:
        """Return a prefix, computed where it is not kept."""
        wanted = tuple(ids)
        if found := self._kept.get(wanted):
            self._kept.move_to_end(wanted)
            return found
        found = self._kept[wanted] = self._compute(wanted)
        limit = PREFIX_SHARE * available_memory(self._model.device)
        while len(self._kept) > 1 and (
            len(self._kept) > KEPT_PREFIXES or sum(map(_bytes, self._kept.values())) > limit
        ):
            self._kept.popitem(last=False)
        return found

    @torch.inference_mode()
    def _compute(self, ids: tuple[int, ...]) -> Prefix:
        """Compute a prefix, from the longest beginning that a kept one has."""
        shared = {kept: common_prefix(ids, (*kept, -1), len(ids)) for kept in self._kept}
        best = max(shared, key=lambda kept: shared[kept], default=())
        start, known = shared.get(best, 0), self._kept.get(best)
        if known and start == len(ids):
            return Prefix(ids, known.keys[:, :, :start], known.values[:, :, :start])
        cache = DynamicCache(config=self._model.config)
        if known and start:
            for layer, (keys, values) in enumerate(zip(known.keys, known.values, strict=True)):
                cache.update(keys[None, :, :start], values[None, :, :start], layer)
        rest = torch.tensor([ids[start:]], device=self._model.device)
        self._model(input_ids=rest, **with_cache(cache), use_cache=True, logits_to_keep=1)
        self.computed_tokens += len(ids) - start
        layers: Any = cache.layers
        keys, values = ([getattr(x, part) for x in layers] for part in ("keys", "values"))
        return Prefix(ids, torch.cat(keys), torch.cat(values))


def _bytes(prefix: Prefix) -> int:
    return 2 * prefix.keys.numel() * prefix.keys.element_size()
