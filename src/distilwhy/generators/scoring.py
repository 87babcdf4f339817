"""Log-likelihoods of texts behind prompts: what several texts begin with is read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

from distilwhy.generators.continuations import pad_lines
from distilwhy.models.logits import logits_only_at
from distilwhy.models.packing import SHARED, shared_attention

PASS_TOKENS = 4096
"""Tokens of a forward pass, padding counted."""

PADDING = -2
"""In place of a text's number, where a position is of none."""


@dataclass(frozen=True)
class ScoredRow:
    """A text to be scored.

    Args:
        prompt: Tokens before it.
        text: Its tokens, one or more.
        begun: Tokens before it that an encoder-decoder reads in its decoder.
    """

    prompt: tuple[int, ...]
    text: tuple[int, ...]
    begun: tuple[int, ...] = ()


def score_lines(model: Any, rows: Sequence[ScoredRow], pad: int, share: bool) -> list[float]:
    """Return each text's log-likelihood in nats by a decoder-only model.

    Args:
        model: The model.
        rows: The texts. Neighbours with the same prompt are read together.
        pad: The pad token.
        share: Whether what neighbours begin with is read once; the model must allow it
            (:func:`distilwhy.models.packing.can_share_sources`).
    """
    groups = list(_neighbours(rows)) if share else [[place] for place in range(len(rows))]
    lines = [_Line([rows[place] for place in group]) for group in groups]
    scores = [0.0] * len(rows)
    for batch in _batches([len(line.ids) for line in lines]):
        found = _pass(model, [lines[number] for number in batch], pad)
        for number, values in zip(batch, found, strict=True):
            for place, value in zip(groups[number], values, strict=True):
                scores[place] = value
    return scores


def score_pairs(model: Any, rows: Sequence[ScoredRow], pad: int) -> list[float]:
    """Return each text's log-likelihood in nats by an encoder-decoder model.

    A prompt that several texts of a forward pass have is encoded once.

    Args:
        model: The model.
        rows: The texts.
        pad: The pad token.
    """
    start = int(model.config.decoder_start_token_id)
    scores = [0.0] * len(rows)
    for batch in _batches([sum(map(len, (row.prompt, row.begun, row.text))) for row in rows]):
        part = [rows[place] for place in batch]
        prompts = list(dict.fromkeys(row.prompt for row in part))
        ids, mask = pad_lines(prompts, pad, model.device)
        read = [(start, *row.begun, *row.text[:-1]) for row in part]
        lines, line_mask = pad_lines(read, pad, model.device)
        select = line_mask.bool()
        for line, row in zip(select, part, strict=True):
            line[: len(row.begun)] = False
        encoded = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        of = torch.tensor([prompts.index(row.prompt) for row in part], device=model.device)
        with logits_only_at(model, select):
            logits = model(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded[of]),
                attention_mask=mask[of],
                decoder_input_ids=lines,
                decoder_attention_mask=line_mask,
                use_cache=False,
            ).logits
        labels = [token for row in part for token in row.text]
        chosen = _chosen(logits, torch.arange(len(labels)), labels)
        for place, values in zip(
            batch, torch.split(chosen, [len(row.text) for row in part]), strict=True
        ):
            scores[place] = float(values.sum())
    return scores


class _Line:
    """Texts of one prompt as one line: what all begin with, then the rest of each."""

    def __init__(self, rows: Sequence[ScoredRow]) -> None:
        prompt = len(rows[0].prompt)
        whole = [(*row.prompt, *row.text) for row in rows]
        # The last token of a text is predicted and not read.
        shared = min(len(_common(whole)), *(len(text) - 1 for text in whole))
        self.ids: list[int] = list(whole[0][:shared])
        self.places = list(range(shared))
        self.owners = [SHARED] * shared
        common = [(place, whole[0][place + 1]) for place in range(prompt - 1, shared - 1)]
        self.parts: list[list[tuple[int, int]]] = []
        """For each text, the positions whose next token is scored, and that token."""
        for number, text in enumerate(whole):
            first = len(self.ids)
            part = [*common, (shared - 1, text[shared])]
            for offset, token in enumerate(text[shared:-1]):
                part.append((first + offset, text[shared + offset + 1]))
                self.ids.append(token)
                self.places.append(shared + offset)
                self.owners.append(number)
            self.parts.append(part)


@torch.inference_mode()
def _pass(model: Any, lines: Sequence[_Line], pad: int) -> Iterator[list[float]]:
    """Yield the log-likelihoods of each line's texts."""
    ids, mask = pad_lines([line.ids for line in lines], pad, model.device)
    width = ids.shape[1]
    select = torch.zeros(len(lines), width, dtype=torch.bool)
    for row, line in enumerate(lines):
        select[row, sorted({place for part in line.parts for place, _ in part})] = True
    inputs: dict[str, Any] = {"attention_mask": mask}
    if any(len(line.parts) > 1 for line in lines):
        owners = pad_sequence([torch.tensor(x.owners) for x in lines], True, PADDING)
        places = pad_sequence([torch.tensor(x.places) for x in lines], True)
        inputs = {
            "attention_mask": shared_attention(owners.to(model.device)),
            "position_ids": places.to(model.device),
        }
    with logits_only_at(model, select.to(model.device)):
        logits = model(input_ids=ids, use_cache=False, **inputs).logits
    number = (select.flatten().cumsum(0) - 1).view(select.shape)
    asked = [
        (int(number[row, place]), token)
        for row, line in enumerate(lines)
        for part in line.parts
        for place, token in part
    ]
    rows, labels = zip(*asked, strict=True)
    chosen = _chosen(logits, torch.tensor(rows), labels)
    parts = iter(torch.split(chosen, [len(part) for line in lines for part in line.parts]))
    return iter([[float(next(parts).sum()) for _ in line.parts] for line in lines])


def _chosen(logits: torch.Tensor, rows: torch.Tensor, labels: Sequence[int]) -> torch.Tensor:
    """Return the log-probabilities of tokens: those of ``labels`` in these rows of logits."""
    logits = logits.float()
    rows, wanted = rows.to(logits.device), torch.tensor(labels, device=logits.device)
    return logits[rows, wanted] - logits.logsumexp(-1)[rows]


def _neighbours(rows: Sequence[ScoredRow]) -> Iterator[list[int]]:
    """Yield the places of neighbours that have one prompt and begin alike."""
    group: list[int] = []
    for place, row in enumerate(rows):
        if group and not _belongs(row, rows[group[0]]):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _belongs(row: ScoredRow, first: ScoredRow) -> bool:
    """Return whether two texts share more than what they have apart."""
    if row.prompt != first.prompt:
        return False
    apart = len(row.text) - len(_common([row.text, first.text]))
    return apart <= len(row.prompt) + len(row.text) - apart


def _common(lines: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the columns with which all lines begin."""
    return list(takewhile(lambda column: len(set(column)) == 1, zip(*lines, strict=False)))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the places of lines that make one forward pass, sorted by length."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[place] * (len(batch) + 1) > PASS_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
