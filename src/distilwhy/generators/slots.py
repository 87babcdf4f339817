"""Decoder-only models that write many texts at once: rows come and go behind shared prefixes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from distilwhy.generators.continuations import PromptIds
from distilwhy.generators.prefix_store import PrefixStore
from distilwhy.generators.prefixes import MIN_PREFIX, group_by_prefix
from distilwhy.generators.shared_attention import (
    Block,
    Pass,
    Prefix,
    SlotCache,
    use_shared_attention,
)
from distilwhy.models.memory import available_memory

MIN_STEM = 8  # tokens; a shorter common beginning costs less than rows of its own
PASS_TOKENS = 2048  # tokens in one pass; more bring no speed and much memory
BLOCK_SPREAD = 1.5  # longest to shortest in a block: what is padded costs less than a further block
SLOT_SHARE = 0.5  # of the memory that is free, for the rows being written
WIDTH_STEP = 32  # slots grow by so many tokens


@dataclass(frozen=True)
class Piece:
    """Tokens of a row, or of a beginning that several new rows share.

    Args:
        slots: The slots of all rows that have these tokens.
        start: How many tokens stand before them, the prefix not counted.
        tokens: The tokens.
        ends: Whether a row's prompt ends with them.
    """

    slots: tuple[int, ...]
    start: int
    tokens: Sequence[int]
    ends: bool = True


class SlotContinuation:
    """Rows of a decoder-only model; see :class:`~distilwhy.generators.continuations.Continuation`.

    Args:
        model: A model for which :func:`can_use_slots` holds.
        prefixes: Its prefixes.
    """

    joins = True

    def __init__(self, model: Any, prefixes: PrefixStore) -> None:
        self._model = model
        self._prefixes = prefixes
        self._cache: SlotCache | None = None
        self._rows: list[tuple[Prefix | None, int]] = []
        """Each row's prefix, and how many tokens it has behind it."""

    def start(self, prompts: Sequence[PromptIds]) -> torch.Tensor:
        """Take rows in and return the logits of their first tokens, [prompts, vocabulary]."""
        before = len(self._rows)
        try:
            return self._start(prompts, before)
        except BaseException:
            del self._rows[before:]
            raise

    def step(self, last: torch.Tensor) -> torch.Tensor:
        """Return the logits of each row's next token, [rows, vocabulary]."""
        lengths = [length for _, length in self._rows]
        cache = self._reserve(len(lengths), max(lengths) + 1)
        device = last.device
        places = torch.tensor(lengths, device=device)
        slots = torch.arange(len(lengths), device=device)
        groups = _groups([prefix for prefix, _ in self._rows], device)
        block = Block(slice(0, len(lengths)), places[:, None])
        cache.begin(Pass(slots, places, None, [block], groups))
        logits = self._forward(last, places + self._prefix_lengths(slots), len(lengths))
        self._rows = [(prefix, length + 1) for prefix, length in self._rows]
        return logits

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Keep only some rows; those at the end fill the gaps. Return them in their new order."""
        cache = self._cache
        assert cache is not None
        order, spare = list(range(len(self._rows))), sorted(set(rows), reverse=True)
        kept = set(rows)
        for slot in range(len(kept)):
            if slot in kept:
                continue
            source = spare.pop(0)
            cache.move(source, slot, self._rows[source][1])
            order[slot] = source
        order = order[: len(kept)]
        self._rows = [self._rows[source] for source in order]
        return order

    def limit(self, tokens: int) -> int:
        """Return how many rows of so many tokens the memory has room for, with those there are."""
        each = 2 * math.prod(_shape(self._model)) * self._model.dtype.itemsize
        held = self._cache.keys.numel() * 2 * self._cache.keys.element_size() if self._cache else 0
        free = SLOT_SHARE * available_memory(self._model.device) + held
        return max(1, int(free // (each * _rounded(tokens))))

    def _start(self, prompts: Sequence[PromptIds], before: int) -> torch.Tensor:
        own = [p.ids[p.prefix :] for p in prompts]
        for prompt in prompts:
            prefix = self._prefixes.get(prompt.ids[: prompt.prefix]) if prompt.prefix else None
            self._rows.append((prefix, 0))
        self._reserve(len(self._rows), max(map(len, own)) + 1)
        logits: dict[int, torch.Tensor] = {}
        for part in _cut(self._pieces(own, before)):
            logits |= self._extend(part)
        for number, line in enumerate(own, before):
            self._rows[number] = (self._rows[number][0], len(line))
        return torch.stack([logits[number] for number in range(before, len(self._rows))])

    def _pieces(self, own: Sequence[Sequence[int]], before: int) -> list[Piece]:
        """Return the tokens of new rows to compute: what rows begin with alike stands once."""
        pieces: list[Piece] = []
        prefixes = [prefix for prefix, _ in self._rows[before:]]
        for _, members in _by_prefix(prefixes):
            for group in group_by_prefix([own[n] for n in members], MIN_STEM):
                rows = [members[n] for n in group.members]
                slots = tuple(before + n for n in rows)
                if group.prefix:
                    pieces.append(Piece(slots, 0, own[rows[0]][: group.prefix], ends=False))
                for n in rows:
                    pieces.append(Piece((before + n,), group.prefix, own[n][group.prefix :]))
        return pieces

    def _extend(self, pieces: Sequence[Piece]) -> dict[int, torch.Tensor]:
        """Compute tokens in one pass; return the logits behind each row's last by its slot."""
        device, cache = self._model.device, self._cache
        assert cache is not None
        pieces = sorted(pieces, key=lambda piece: len(piece.tokens))
        sizes = [len(piece.tokens) for piece in pieces]
        ends = list(accumulate(sizes))
        stored = [
            (slot, piece.start + place, end - size + place)
            for piece, size, end in zip(pieces, sizes, ends, strict=True)
            for slot in piece.slots
            for place in range(size)
        ]
        slots, places, sources = torch.tensor(stored, device=device).unbind(1)
        line = [
            (piece.slots[0], piece.start + n) for piece in pieces for n in range(len(piece.tokens))
        ]
        groups = _groups([self._rows[slot][0] for slot, _ in line], device)
        cache.begin(Pass(slots, places, sources, _blocks(pieces, device), groups))
        of_row, within = torch.tensor(line, device=device).unbind(1)
        ids = torch.tensor([token for piece in pieces for token in piece.tokens], device=device)
        last = [
            (piece.slots[0], end - 1) for piece, end in zip(pieces, ends, strict=True) if piece.ends
        ]
        keep = torch.tensor([place for _, place in last], device=device) if last else 1
        logits = self._forward(ids, within + self._prefix_lengths(of_row), keep)
        return {slot: line for (slot, _), line in zip(last, logits, strict=False)}

    @torch.inference_mode()
    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, keep: torch.Tensor | int
    ) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            input_ids=ids[None],
            position_ids=positions[None],
            # Four dimensions: transformers takes it as it is and builds none.
            attention_mask=torch.ones(1, 1, 1, 1, device=ids.device),
            use_cache=False,
            logits_to_keep=keep,
            slot_cache=self._cache,
        ).logits
        return logits[0]

    def _prefix_lengths(self, slots: torch.Tensor) -> torch.Tensor:
        lengths = [len(prefix.ids) if prefix else 0 for prefix, _ in self._rows]
        return torch.tensor(lengths, device=slots.device)[slots]

    def _reserve(self, rows: int, tokens: int) -> SlotCache:
        if self._cache is None:
            self._cache = SlotCache(_shape(self._model), self._model.dtype, self._model.device)
        self._cache.reserve(rows, _rounded(tokens))
        return self._cache


def _shape(model: Any) -> tuple[int, int, int]:
    """Return a model's layers, key-value heads and size of a head."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, size


def _rounded(tokens: int) -> int:
    return -(-tokens // WIDTH_STEP) * WIDTH_STEP


def _cut(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    """Cut pieces into passes of at most so many tokens, or one piece."""
    start = tokens = 0
    for number, piece in enumerate(pieces):
        if number > start and tokens + len(piece.tokens) > PASS_TOKENS:
            yield pieces[start:number]
            start, tokens = number, 0
        tokens += len(piece.tokens)
    yield pieces[start:]


def _blocks(pieces: Sequence[Piece], device: torch.device) -> list[Block]:
    """Return blocks of pieces, which are sorted by length, so that little is padded."""
    blocks: list[Block] = []
    start = 0
    while start < len(pieces):
        shortest = len(pieces[start].tokens)
        end = start + 1
        while end < len(pieces) and len(pieces[end].tokens) <= BLOCK_SPREAD * shortest:
            end += 1
        blocks.append(_block(pieces[start:end], device))
        start = end
    return blocks


def _block(pieces: Sequence[Piece], device: torch.device) -> Block:
    sizes = torch.tensor([len(piece.tokens) for piece in pieces], device=device)
    widest = int(sizes.max())
    within = torch.arange(widest, device=device).clamp(max=(sizes - 1)[:, None])
    real = torch.arange(widest, device=device) < sizes[:, None]
    starts = torch.tensor([piece.start for piece in pieces], device=device)
    return Block(
        torch.tensor([piece.slots[0] for piece in pieces], device=device),
        starts[:, None] + within,
        (sizes.cumsum(0) - sizes)[:, None] + within,
        real.flatten().nonzero()[:, 0],
    )


def _by_prefix(prefixes: Sequence[Prefix | None]) -> list[tuple[Prefix | None, list[int]]]:
    """Return each prefix with the numbers of those that stand behind it."""
    found: dict[int, tuple[Prefix | None, list[int]]] = {}
    for number, prefix in enumerate(prefixes):
        found.setdefault(id(prefix), (prefix, []))[1].append(number)
    return list(found.values())


def _groups(
    prefixes: Sequence[Prefix | None], device: torch.device
) -> list[tuple[Prefix, torch.Tensor | None]]:
    """Return each prefix with the numbers of the tokens behind it, ``None`` for all of them."""
    found = _by_prefix(prefixes)
    if len(found) == 1:
        return [(prefix, None) for prefix, _ in found if prefix is not None]
    return [
        (prefix, torch.tensor(members, device=device))
        for prefix, members in found
        if prefix is not None
    ]


@torch.inference_mode()
def can_use_slots(model: Any) -> bool:
    """Return whether a model's texts in slots, behind shared prefixes, are its plain texts.

    Sliding windows, recurrent layers and scores with terms of their own are not served; a short
    trial finds them out. The model's attention is switched on the way.
    """
    plain = all(type(x) is DynamicLayer for x in DynamicCache(config=model.config).layers)
    if not plain or not use_shared_attention(model):
        return False
    tokens = [3 + number % 5 for number in range(MIN_PREFIX)]
    prompts = [[*tokens, 4, 5, 3, 6], [*tokens, 6, 3]]
    try:
        reference = [_last_logits(model, [*prompt, 5]) for prompt in prompts]
        trial = SlotContinuation(model, PrefixStore(model))
        trial.start([PromptIds(prompt, len(tokens)) for prompt in prompts])
        found = trial.step(torch.full((2,), 5, device=model.device)).float()
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError):
        return False
    wanted = torch.stack(reference)
    tolerance = 1e-4 if model.dtype == torch.float32 else 0.05
    return bool((found - wanted).norm() <= tolerance * wanted.norm())


def _last_logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    line = torch.tensor([list(ids)], device=model.device)
    logits: torch.Tensor = model(input_ids=line, use_cache=False, logits_to_keep=1).logits
    return logits[0, -1].float()
