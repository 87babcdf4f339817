"""From views to tensors: the only place where encoder-decoder and decoder-only students differ."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from distilwhy.models.tokens import prompt_ids
from distilwhy.students.collate import packed_lines, packed_pairs, padded_lines, padded_pairs
from distilwhy.students.rows import Batch, EncodedRow
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
        self.pack = pack

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
            ``label_views`` and ``label_rows`` (int64, [targets]: the view and the row that each
            belongs to) and ``tokens`` (how many input tokens are not padding).
        """
        if self.is_encoder_decoder:
            pairs = packed_pairs if self.pack else padded_pairs
            return pairs(rows, self._pad(), self.decoder_start)
        lines = packed_lines if self.pack else padded_lines
        return lines(rows, self._pad())

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
