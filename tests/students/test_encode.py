"""From rows to token ids and tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from distilwhy.students import bins
from distilwhy.students.bins import fit_lengths, fit_pairs
from distilwhy.students.encode import Encoder
from distilwhy.students.rows import EncodedRow
from distilwhy.students.views import Row

SOURCE = "[predict] Where do you boil water?\n"
TARGET = "[answer] The answer is stove"
END = 1


@pytest.fixture(scope="module")
def tokenizer(tiny_models: dict[str, Path]) -> Any:
    return AutoTokenizer.from_pretrained(tiny_models["llama"])


def encoder(tokenizer: Any, encodes: bool, **limits: int) -> Encoder:
    return Encoder(tokenizer, is_encoder_decoder=encodes, **limits)


def test_texts_within_the_limits(tokenizer: Any) -> None:
    source, target = tokenizer(SOURCE)["input_ids"], tokenizer(TARGET)["input_ids"]
    row = Row("e", "predict", SOURCE, TARGET)
    decoder_only = encoder(tokenizer, False).encode(row, 2)
    assert decoder_only == EncodedRow(2, tuple(source), (*target, END), 0, False)
    both = encoder(tokenizer, True).encode(row, 0)
    assert both == EncodedRow(0, (*source, END), (*target, END), 0, False)
    assert both.tokens == len(source) + len(target) + 2


@pytest.mark.parametrize("encodes", [False, True])
def test_cuts_keep_the_end_tokens(encodes: bool, tokenizer: Any) -> None:
    source, target = tokenizer(SOURCE)["input_ids"], tokenizer(TARGET)["input_ids"]
    row = Row("e", "predict", SOURCE, TARGET)
    exact = {
        "max_source_tokens": len(source) + encodes,
        "max_target_tokens": len(target) + 1,
    }
    assert not encoder(tokenizer, encodes, **exact).encode(row, 0).cut
    for limit in exact:
        cut = encoder(tokenizer, encodes, **{**exact, limit: exact[limit] - 1}).encode(row, 0)
        assert cut.cut
        assert len(cut.source) == exact["max_source_tokens"] - (limit == "max_source_tokens")
        assert len(cut.target) == exact["max_target_tokens"] - (limit == "max_target_tokens")
        assert cut.target[-1] == END
        assert cut.target[:-1] == tuple(target)[: len(cut.target) - 1]
        assert (cut.source[-1] == END) == encodes


def test_given_texts_are_cut_before_the_counted_ones(tokenizer: Any) -> None:
    rationale = "[counterfactual] Answer: People like gardens. So the answer is"
    row = Row("e", "counterfactual", SOURCE, " garden.", rationale)
    given, counted = (tokenizer(text)["input_ids"] for text in (rationale, " garden."))
    whole = encoder(tokenizer, False).encode(row, 0)
    assert whole.target == (*given, *counted, END)
    assert (whole.given, whole.cut) == (len(given), False)
    limit = len(counted) + 6
    cut = encoder(tokenizer, False, max_target_tokens=limit).encode(row, 0)
    assert cut.target == (*given[:5], *counted, END)
    assert (cut.given, cut.cut) == (5, True)
    tight = encoder(tokenizer, False, max_target_tokens=2).encode(row, 0)
    assert tight.target == (counted[0], END)
    assert tight.given == 0


ROWS = [
    EncodedRow(0, (10, 11, 12), (20, 21, END), 0, False),
    EncodedRow(1, (13,), (22, 23, 24, END), 2, False),
]


def test_encoder_decoder_batch(tokenizer: Any) -> None:
    batch = Encoder(tokenizer, is_encoder_decoder=True, decoder_start=7).collate(ROWS)
    assert batch["input_ids"].tolist() == [[10, 11, 12], [13, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["decoder_input_ids"].tolist() == [[7, 20, 21, 0], [7, 22, 23, 24]]
    assert batch["decoder_attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch["select"].int().tolist() == [[1, 1, 1, 0], [0, 0, 1, 1]]
    assert batch["labels"].tolist() == [20, 21, END, 24, END]
    assert batch["label_views"].tolist() == [0, 0, 0, 1, 1]
    assert int(batch["tokens"]) == 11


def test_decoder_only_batch(tokenizer: Any) -> None:
    batch = Encoder(tokenizer, is_encoder_decoder=False).collate(ROWS)
    assert batch["input_ids"].tolist() == [[10, 11, 12, 20, 21], [13, 22, 23, 24, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    # The last source token foretells the first target token.
    assert batch["select"].int().tolist() == [[0, 0, 1, 1, 1], [0, 0, 1, 1, 0]]
    assert batch["labels"].tolist() == [20, 21, END, 24, END]
    assert int(batch["tokens"]) == 9


def test_packed_batch(tokenizer: Any) -> None:
    short = EncodedRow(1, (14,), (25, END), 0, False)
    long = EncodedRow(0, tuple(range(30, 36)), (40, END), 0, False)
    batch = Encoder(tokenizer, is_encoder_decoder=False, pack=True).collate([short, *ROWS, long])
    lines = {
        (*range(30, 36), 40): [0, 1, 2, 3, 4, 5, 6],
        (10, 11, 12, 20, 21): [0, 1, 2, 3, 4],
        (13, 22, 23, 24): [0, 1, 2, 3],
        (14, 25): [0, 1],
    }
    found: dict[tuple[int, ...], list[int]] = {}
    chosen: list[list[int]] = []
    for ids, positions, select in zip(
        batch["input_ids"].tolist(),
        batch["position_ids"].tolist(),
        batch["select"].tolist(),
        strict=True,
    ):
        starts = [place for place, position in enumerate(positions) if position == 0]
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            if any(ids[start:end]):
                found[tuple(ids[start:end])] = positions[start:end]
                chosen.append(
                    [i for i, s in zip(ids[start:end], select[start:end], strict=True) if s]
                )
            else:
                assert not any(select[start:end])
    assert found == lines
    # Labels follow the lines' reading order: each selected token foretells the next label.
    follow = {12: 20, 20: 21, 21: END, 23: 24, 24: END, 14: 25, 25: END, 35: 40, 40: END}
    assert [follow[token] for row in chosen for token in row] == batch["labels"].tolist()
    views = {20: 0, 21: 0, 40: 0, 24: 1, 25: 1}
    for label, view in zip(batch["labels"].tolist(), batch["label_views"].tolist(), strict=True):
        assert views.get(label, view) == view
    assert int(batch["tokens"]) == 18
    assert "attention_mask" not in batch


def test_packed_encoder_decoder_batch(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bins, "LONGEST_PAIR", 12)
    third = EncodedRow(0, (14, 15, 16), (25, END), 0, False)
    batch = Encoder(tokenizer, is_encoder_decoder=True, decoder_start=7, pack=True).collate(
        [*ROWS, third]
    )
    # The longest pair has a line of its own, the two others share one.
    assert batch["input_ids"].tolist() == [[10, 11, 12, 0], [13, 14, 15, 16]]
    assert batch["decoder_input_ids"].tolist() == [[7, 20, 21, 0, 0, 0], [7, 22, 23, 24, 7, 25]]
    assert batch["labels"].tolist() == [20, 21, END, 24, END, 25, END]
    assert batch["label_views"].tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert batch["select"].int().tolist() == [[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]]
    assert int(batch["tokens"]) == 16
    masks = ("attention_mask", "decoder_attention_mask", "cross_attention_mask")
    encoder, decoder, across = ((batch[name][:, 0] == 0).int().tolist() for name in masks)
    assert encoder[1] == [[1, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]]
    assert decoder[1] == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1, 1],
    ]
    assert across[1] == [[1, 0, 0, 0]] * 4 + [[0, 1, 1, 1]] * 2
    assert across[0][0] == [1, 1, 1, 0]


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=40))
def test_lines_hold_each_pair_once_at_no_more_positions_than_padding(
    lengths: list[tuple[int, int]],
) -> None:
    bins = fit_pairs(lengths)
    assert sorted(row for members in bins for row in members) == list(range(len(lengths)))
    assert all(bins)
    for side in (0, 1):
        assert max(sum(lengths[row][side] for row in b) for b in bins) <= 512 + 600
    packed = len(bins) * sum(
        max(sum(lengths[row][side] for row in members) for members in bins) for side in (0, 1)
    )
    padded = len(lengths) * sum(max(pair[side] for pair in lengths) for side in (0, 1))
    assert packed <= padded


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_lines_hold_each_row_once_and_never_overflow(lengths: list[int]) -> None:
    bins = fit_lengths(lengths)
    assert sorted(row for members in bins for row in members) == list(range(len(lengths)))
    assert all(bins)
    longest = max(lengths)
    filled = [sum(lengths[row] for row in members) for members in bins]
    assert max(filled) <= max(longest, min(2 * longest, 384))
    # Never more positions than one row a line.
    assert len(bins) * max(filled) <= len(lengths) * longest


def test_padding_saved_by_packing() -> None:
    bins = fit_lengths([100, 50, 50, 25, 25, 25, 25])
    assert sum(len(members) for members in bins) == 7
    assert len(bins) * max(sum([100, 50, 50, 25, 25, 25, 25][i] for i in b) for b in bins) == 300
