"""From views to tensors: the only place where encoder-decoder and decoder-only students differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from distilwhy.models.tokens import prompt_ids
from distilwhy.students.views import Row

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class EncodedRow:
    """A row as token ids.

    Args:
        view: Index of its view among the method's views.
        source: Input tokens.
        target: Target tokens, the end token last.
        given: How many target tokens, from the start, are read but not counted in the loss.
        cut: Whether source or target was cut at its limit.
    """

    view: int
    source: tuple[int, ...]
    target: tuple[int, ...]
    given: int
    cut: bool

    @property
    def tokens(self) -> int:
        """Source and target tokens together."""
        return len(self.source) + len(self.target)


class Encoder:
    """Turns rows into token ids and batches of them into tensors.

    Args:
        tokenizer: The student's tokenizer.
        is_encoder_decoder: Whether the source goes to an encoder rather than before the target.
        decoder_start: Token that starts an encoder-decoder target; unused otherwise.
        max_source_tokens: Sources are cut at so many tokens.
        max_target_tokens: Targets are cut at so many tokens, the end token kept.
        pack: Put several decoder-only rows into one line of a batch. The model tells them apart by
            positions that start again at 0, so no computation is spent on padding.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        is_encoder_decoder: bool,
        decoder_start: int = 0,
        max_source_tokens: int = 300,
        max_target_tokens: int = 200,
        pack: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.is_encoder_decoder = is_encoder_decoder
        self.decoder_start = decoder_start
        self.max_source_tokens = max_source_tokens
        self.max_target_tokens = max_target_tokens
        self.pack = pack and not is_encoder_decoder

    def source_ids(self, text: str) -> list[int]:
        """Return a source's tokens, cut at the limit; training and prediction share this."""
        return prompt_ids(
            self.tokenizer,
            text,
            is_encoder_decoder=self.is_encoder_decoder,
            limit=self.max_source_tokens,
        )

    def encode(self, row: Row, view: int) -> EncodedRow:
        """Return a row's tokens.

        Args:
            row: The row.
            view: Index of its view among the method's views.
        """
        source = self.source_ids(row.source)
        given = self._ids(row.given) if row.given else []
        target = given + self._ids(row.target)
        room = self.max_target_tokens - 1
        cut = len(target) > room or self._is_cut(source, row.source)
        if len(target) > room and given:
            # The counted tokens are the point of the row, so the text before them is cut.
            counted = target[len(given) :][:room]
            given = given[: room - len(counted)]
            target = given + counted
        tokens = (*target[:room], self._end())
        return EncodedRow(view, tuple(source), tokens, min(len(given), len(tokens) - 1), cut)

    def collate(self, rows: Sequence[EncodedRow]) -> Batch:
        """Return one padded (or packed) batch.

        Args:
            rows: The batch's rows, any views.

        Returns:
            The model's inputs, and ``select`` (bool, as the decoder's positions: where logits are
            needed), ``labels`` (int64, [targets]: the tokens to predict there, in reading order),
            ``label_views`` (int64, [targets]: the view that each belongs to) and ``tokens`` (how
            many input tokens are not padding).
        """
        if self.is_encoder_decoder:
            return self._collate_encoder_decoder(rows)
        return self._collate_packed(rows) if self.pack else self._collate_causal(rows)

    def _collate_encoder_decoder(self, rows: Sequence[EncodedRow]) -> Batch:
        inputs = [list(row.source) for row in rows]
        decoder = [[self.decoder_start, *row.target[:-1]] for row in rows]
        counted = [[False] * row.given + [True] * (len(row.target) - row.given) for row in rows]
        return {
            "input_ids": _padded(inputs, self._pad()),
            "attention_mask": _padded([[1] * len(ids) for ids in inputs], 0),
            "decoder_input_ids": _padded(decoder, self._pad()),
            "decoder_attention_mask": _padded([[1] * len(ids) for ids in decoder], 0),
            "select": _padded(counted, False),
            **_labels(rows),
            "tokens": torch.tensor(sum(row.tokens for row in rows)),
        }

    def _collate_causal(self, rows: Sequence[EncodedRow]) -> Batch:
        lines = [_causal_line(row) for row in rows]
        return {
            "input_ids": _padded([ids for ids, _ in lines], self._pad()),
            "attention_mask": _padded([[1] * len(ids) for ids, _ in lines], 0),
            "select": _padded([counted for _, counted in lines], False),
            **_labels(rows),
            "tokens": torch.tensor(sum(len(ids) for ids, _ in lines)),
        }

    def _collate_packed(self, rows: Sequence[EncodedRow]) -> Batch:
        bins = pack_bins([row.tokens - 1 for row in rows])
        ids, positions, counted = [], [], []
        for members in bins:
            lines = [_causal_line(rows[index]) for index in members]
            ids.append([token for line, _ in lines for token in line])
            positions.append([place for line, _ in lines for place in range(len(line))])
            counted.append([flag for _, flags in lines for flag in flags])
        ordered = [rows[index] for members in bins for index in members]
        width = max(len(line) for line in ids)
        # Padding counts on from 0 too, so that it is one more sequence that nothing attends to.
        positions = [line + list(range(width - len(line))) for line in positions]
        return {
            "input_ids": _padded(ids, self._pad()),
            "position_ids": torch.tensor(positions),
            "select": _padded(counted, False),
            **_labels(ordered),
            "tokens": torch.tensor(sum(row.tokens - 1 for row in rows)),
        }

    def _is_cut(self, source: list[int], text: str) -> bool:
        """Return whether a source lacks tokens of its text; only one at the limit can."""
        if len(source) < self.max_source_tokens:
            return False
        whole = prompt_ids(self.tokenizer, text, is_encoder_decoder=self.is_encoder_decoder)
        return len(whole) > len(source)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _end(self) -> int:
        return int(self.tokenizer.eos_token_id)

    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id)


# Lines longer than this spend more on attention between rows than they save in padding.
LONGEST_LINE = 384


def pack_bins(lengths: Sequence[int]) -> list[list[int]]:
    """Put rows into lines of a batch so that little is spent on padding.

    Rows go, longest first, into the first line with room. Several line lengths are tried, from the
    longest row's up to twice that or 384; the one with the fewest positions in all is taken.

    Args:
        lengths: Length of each row, above 0.

    Returns:
        The rows of each line; every row stands in exactly one.
    """
    longest = max(lengths)
    capacities = range(longest, max(longest, min(2 * longest, LONGEST_LINE)) + 1, 8)
    packings = [_first_fit(lengths, capacity) for capacity in capacities]
    return min(packings, key=lambda bins: _positions(bins, lengths))


def _positions(bins: Sequence[Sequence[int]], lengths: Sequence[int]) -> int:
    return len(bins) * max(sum(lengths[row] for row in members) for members in bins)


def _first_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    bins: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        place = next((b for b, free in enumerate(room) if free >= length), None)
        if place is None:
            bins.append([])
            room.append(capacity)
            place = len(bins) - 1
        bins[place].append(index)
        room[place] -= length
    return bins


def _causal_line(row: EncodedRow) -> tuple[list[int], list[bool]]:
    """Return a decoder-only row's input tokens and where the next token counts in the loss."""
    ids = [*row.source, *row.target[:-1]]
    first = len(row.source) - 1 + row.given
    return ids, [place >= first for place in range(len(ids))]


def _labels(rows: Sequence[EncodedRow]) -> Batch:
    labels = [token for row in rows for token in row.target[row.given :]]
    views = [row.view for row in rows for _ in range(len(row.target) - row.given)]
    return {"labels": torch.tensor(labels), "label_views": torch.tensor(views)}


def _padded(lines: Sequence[Sequence[Any]], value: Any) -> torch.Tensor:
    width = max(len(line) for line in lines)
    return torch.tensor([[*line, *[value] * (width - len(line))] for line in lines])
