"""From views to tensors: the only place where encoder-decoder and decoder-only students differ."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from distilwhy.models.packing import can_pack, can_share_sources
from distilwhy.models.tokens import prompt_ids
from distilwhy.students.collate import (
    packed_lines,
    packed_pairs,
    padded_lines,
    padded_pairs,
    shared_lines,
)
from distilwhy.students.rows import Batch, EncodedRow, read_once
from distilwhy.students.views import Row


class Encoder:
    """Turns rows into token ids and batches of them into tensors.

    Args:
        tokenizer: The student's tokenizer.
        is_encoder_decoder: Whether the source goes to an encoder rather than before the target.
        decoder_start: Token that starts an encoder-decoder target; unused otherwise.
        max_source_tokens: Sources are cut at so many tokens.
        max_target_tokens: Targets are cut at so many tokens, the end token kept.
        pack: Put several rows into one line of a batch, so that no computation is spent on padding.
            Decoder-only models tell them apart by positions that start again at 0, encoder-decoder
            models by masks of attention.
        share: Of packed rows with equal sources, have the source stand once. Decoder-only rows need
            a given token to begin with: the source's last position has one next token only.
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
        share: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.is_encoder_decoder = is_encoder_decoder
        self.decoder_start = decoder_start
        self.max_source_tokens = max_source_tokens
        self.max_target_tokens = max_target_tokens
        self.pack = pack
        self.share = share

    def pack_for(self, model: Any) -> None:
        """Pack rows, and share sources, as far as a model allows it."""
        self.pack = can_pack(model)
        self.share = self.pack and (self.is_encoder_decoder or can_share_sources(model))

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
        # By itself, as prediction has it; beside the limit, so that targets are cut as without it.
        tag = self._ids(row.tag) if row.tag else []
        given = self._ids(row.given) if row.given else []
        target = given + self._ids(row.target)
        room = self.max_target_tokens - 1
        cut = len(target) > room or self._is_cut(source, row.source)
        if len(target) > room and given:
            # The counted tokens are the point of the row, so the text before them is cut.
            counted = target[len(given) :][:room]
            given = given[: room - len(counted)]
            target = given + counted
        target = target[:room]
        read = len(tag) + min(len(given), len(target))
        return EncodedRow(view, tuple(source), (*tag, *target, self._end()), read, cut)

    def bundles(self, rows: Sequence[EncodedRow]) -> list[list[int]]:
        """Return the places of rows that one source serves in a batch, in the order of the first.

        Args:
            rows: The rows.
        """
        if not (self.pack and self.share):
            return [[place] for place in range(len(rows))]
        found: dict[Hashable, list[int]] = {}
        for place, row in enumerate(rows):
            shares = self.is_encoder_decoder or row.given
            found.setdefault(row.source if shares else place, []).append(place)
        return list(found.values())

    def tokens(self, rows: Sequence[EncodedRow]) -> int:
        """Return how many tokens a batch of rows reads; a source that they share counts once."""
        return sum(read_once([rows[place] for place in places]) for places in self.bundles(rows))

    def collate(self, rows: Sequence[EncodedRow]) -> Batch:
        """Return one padded (or packed) batch.

        Args:
            rows: The batch's rows, any views.

        Returns:
            The model's inputs, and ``select`` (bool, as the decoder's positions: where logits are
            needed), ``labels`` (int64, [targets]: the tokens to predict there, in reading order),
            ``label_views`` and ``label_rows`` (int64, [targets]: the view and the row that each
            belongs to) and ``tokens`` (how many input tokens are not padding).
        """
        if not self.pack:
            if self.is_encoder_decoder:
                return padded_pairs(rows, self._pad(), self.decoder_start)
            return padded_lines(rows, self._pad())
        bundles = [[rows[place] for place in places] for places in self.bundles(rows)]
        if self.is_encoder_decoder:
            return packed_pairs(bundles, self._pad(), self.decoder_start)
        if len(bundles) < len(rows):
            return shared_lines(bundles, self._pad())
        return packed_lines(rows, self._pad())

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
