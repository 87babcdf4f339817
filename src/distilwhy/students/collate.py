"""Rows to the tensors of one forward pass: padded, or several rows packed into each line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch

from distilwhy.models.packing import SHARED, shared_attention
from distilwhy.students.bins import fit_lengths, fit_pairs
from distilwhy.students.rows import Batch, EncodedRow, read_once

MASKED = -1e9
"""What a forbidden place adds to an attention score: enough to vanish, and finite, so that a
position which may attend to nothing gives numbers that nobody reads rather than NaN."""


def padded_lines(rows: Sequence[EncodedRow], pad: int) -> Batch:
    """Return decoder-only rows, one a line."""
    lines = [_causal_line(row) for row in rows]
    return {
        "input_ids": _padded([ids for ids, _ in lines], pad),
        "attention_mask": _padded([[1] * len(ids) for ids, _ in lines], 0),
        "select": _padded([counted for _, counted in lines], False),
        **_labels(rows),
        "tokens": torch.tensor(sum(len(ids) for ids, _ in lines)),
    }


def packed_lines(rows: Sequence[EncodedRow], pad: int) -> Batch:
    """Return decoder-only rows, several a line, told apart by positions that start again at 0."""
    bins = fit_lengths([row.tokens - 1 for row in rows])
    ids, positions, counted = [], [], []
    for members in bins:
        lines = [_causal_line(rows[index]) for index in members]
        ids.append([token for line, _ in lines for token in line])
        positions.append([place for line, _ in lines for place in range(len(line))])
        counted.append([flag for _, flags in lines for flag in flags])
    width = max(len(line) for line in ids)
    # Padding counts on from 0 too, so that it is one more sequence that nothing attends to.
    positions = [line + list(range(width - len(line))) for line in positions]
    return {
        "input_ids": _padded(ids, pad),
        "position_ids": torch.tensor(positions),
        "select": _padded(counted, False),
        **_labels([rows[index] for members in bins for index in members]),
        "tokens": torch.tensor(sum(row.tokens - 1 for row in rows)),
    }


def padded_pairs(rows: Sequence[EncodedRow], pad: int, start: int) -> Batch:
    """Return encoder-decoder rows, one a line of the encoder and one of the decoder.

    Args:
        rows: The rows.
        pad: The pad token.
        start: The token that starts a target.
    """
    sources = [list(row.source) for row in rows]
    decoder = [[start, *row.target[:-1]] for row in rows]
    return {
        "input_ids": _padded(sources, pad),
        "attention_mask": _padded([[1] * len(ids) for ids in sources], 0),
        "decoder_input_ids": _padded(decoder, pad),
        "decoder_attention_mask": _padded([[1] * len(ids) for ids in decoder], 0),
        "select": _padded([_counted(row) for row in rows], False),
        **_labels(rows),
        "tokens": torch.tensor(sum(row.tokens for row in rows)),
    }


def packed_pairs(bundles: Sequence[Sequence[EncodedRow]], pad: int, start: int) -> Batch:
    """Return encoder-decoder rows, several a line, kept apart by masks of attention.

    A line of the decoder holds the targets of the sources in the encoder's line beside it.

    Args:
        bundles: The rows, those of one source together.
        pad: The pad token.
        start: The token that starts a target.

    Returns:
        A batch with masks of shape [lines, 1, queries, keys], fp32, to be added to the scores:
        ``attention_mask`` within the encoder, ``decoder_attention_mask`` within the decoder and
        ``cross_attention_mask`` from the decoder to the encoder.
    """
    targets = [sum(len(row.target) for row in bundle) for bundle in bundles]
    bins = fit_pairs([(len(b[0].source), size) for b, size in zip(bundles, targets, strict=True)])
    sources = [[bundles[index][0].source for index in members] for members in bins]
    lines = [[row for index in members for row in bundles[index]] for members in bins]
    decoder = [[token for row in line for token in (start, *row.target[:-1])] for line in lines]
    counted = [[flag for row in line for flag in _counted(row)] for line in lines]
    of_source = _padded([_owners(map(len, line)) for line in sources], -1)
    of_target = _padded([_owners(len(row.target) for row in line) for line in lines], -1)
    reads = _padded([_owners(targets[index] for index in members) for members in bins], -1)
    return {
        "input_ids": _padded([[token for ids in line for token in ids] for line in sources], pad),
        "attention_mask": _additive(_same(of_source, of_source)),
        "decoder_input_ids": _padded(decoder, pad),
        "decoder_attention_mask": _additive(_same(of_target, of_target) & _earlier(of_target)),
        "cross_attention_mask": _additive(_same(reads, of_source)),
        "select": _padded(counted, False),
        **_labels([row for line in lines for row in line]),
        "tokens": torch.tensor(sum(map(read_once, bundles))),
    }


def shared_lines(bundles: Sequence[Sequence[EncodedRow]], pad: int) -> Batch:
    """Return decoder-only rows, several a line, those of one source behind it.

    A position attends to those before it that are of its source or of its own target.

    Args:
        bundles: The rows, those of one source together; where there are several, each with a given
            token or more.
        pad: The pad token.

    Returns:
        A batch with a mask of shape [lines, 1, positions, positions], bool, as models with fused
        attention take it in any precision.
    """
    laid = [_laid(bundle) for bundle in bundles]
    bins = fit_lengths([len(line.ids) for line in laid])
    lines = [[laid[index] for index in members] for members in bins]
    bundle = _padded([_owners(len(part.ids) for part in line) for line in lines], -1)
    target = _padded([[t for part in line for t in part.targets] for line in lines], SHARED)
    return {
        "input_ids": _padded([[i for part in line for i in part.ids] for line in lines], pad),
        "position_ids": _padded([[p for part in line for p in part.places] for line in lines], 0),
        "attention_mask": _same(bundle, bundle) & shared_attention(target),
        "select": _padded([[s for part in line for s in part.counted] for line in lines], False),
        **_labels([row for members in bins for index in members for row in bundles[index]]),
        "tokens": torch.tensor(sum(len(line.ids) for line in laid)),
    }


class _Laid(NamedTuple):
    """A source and its targets one after another: of each position the token, its place in the
    text, the target that it is of, and whether the next token counts in the loss."""

    ids: list[int]
    places: list[int]
    targets: list[int]
    counted: list[bool]


def _laid(bundle: Sequence[EncodedRow]) -> _Laid:
    source = len(bundle[0].source)
    first, flags = _causal_line(bundle[0])
    laid = _Laid(first[:source], list(range(source)), [SHARED] * source, flags[:source])
    for number, row in enumerate(bundle):
        line, flags = _causal_line(row)
        laid.ids.extend(line[source:])
        laid.places.extend(range(source, len(line)))
        laid.targets.extend([number] * (len(line) - source))
        laid.counted.extend(flags[source:])
    return laid


def _earlier(positions: torch.Tensor) -> torch.Tensor:
    """Return which position of a line stands before which, itself included."""
    width = positions.shape[1]
    return torch.ones(width, width, dtype=torch.bool).tril()


def _owners(lengths: Iterable[int]) -> list[int]:
    """Return, for each position of a line, which of its parts it belongs to."""
    return [row for row, length in enumerate(lengths) for _ in range(length)]


def _same(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    return queries[:, None, :, None] == keys[:, None, None, :]


def _additive(allowed: torch.Tensor) -> torch.Tensor:
    return torch.zeros(allowed.shape).masked_fill_(~allowed, MASKED)


def _counted(row: EncodedRow) -> list[bool]:
    """Return which of a target's tokens count in the loss."""
    return [False] * row.given + [True] * (len(row.target) - row.given)


def _causal_line(row: EncodedRow) -> tuple[list[int], list[bool]]:
    """Return a decoder-only row's input tokens and where the next token counts in the loss."""
    ids = [*row.source, *row.target[:-1]]
    first = len(row.source) - 1 + row.given
    return ids, [place >= first for place in range(len(ids))]


def _labels(rows: Sequence[EncodedRow]) -> Batch:
    labels = [token for row in rows for token in row.target[row.given :]]
    counts = torch.tensor([len(row.target) - row.given for row in rows])
    of_rows = torch.tensor([(row.view, row.number) for row in rows]).repeat_interleave(counts, 0)
    views, numbers = of_rows.unbind(1)
    return {"labels": torch.tensor(labels), "label_views": views, "label_rows": numbers}


def _padded(lines: Sequence[Sequence[Any]], value: Any) -> torch.Tensor:
    width = max(len(line) for line in lines)
    return torch.tensor([[*line, *[value] * (width - len(line))] for line in lines])
