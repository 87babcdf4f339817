"""Local models through transformers: batches, shared prefixes once, finished rows leave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

import torch

from distilwhy.errors import ModelError
from distilwhy.generators.base import BegunPrompt, Decoding, Finish, Generated, contrasted
from distilwhy.generators.continuations import (
    Continuation,
    DecoderContinuation,
    EncoderDecoderContinuation,
    keeps_its_state,
)
from distilwhy.generators.prefix_store import PrefixStore
from distilwhy.generators.row_budget import RowBudget
from distilwhy.generators.rows import Row, RowQueue
from distilwhy.generators.scoring import ScoredRow, score_lines, score_pairs
from distilwhy.generators.slots import SlotContinuation, can_use_slots
from distilwhy.generators.writing import Writer
from distilwhy.models.load import LoadedModel
from distilwhy.models.packing import can_share_sources
from distilwhy.models.precision import default_device, precision_name
from distilwhy.models.tokens import chat_ids, prompt_ids
from distilwhy.progress import say

PromptT = TypeVar("PromptT")

PADDED_ROWS = 64  # of a padded batch: what it takes is not known before memory runs out
STOP_WINDOW = 12  # tokens looked at for a stop string; longer stop strings widen it


class LocalGenerator:
    """Generates with a model on this machine.

    Args:
        loaded: The model and its tokenizer.
        batch_size: Texts written together, at most; how many is found by how fast they are written,
            and memory may allow fewer.
        max_prompt_tokens: Prompts are cut at so many tokens, as a student's were in training.
    """

    contrasts = True

    def __init__(
        self, loaded: LoadedModel, batch_size: int = 256, max_prompt_tokens: int | None = None
    ) -> None:
        self.name = loaded.name
        self.loaded = loaded
        model: Any = loaded.model
        self.model: Any = model.to(default_device())
        self.tokenizer: Any = loaded.tokenizer
        padded_rows = min(batch_size, PADDED_ROWS)
        self.budget = RowBudget(batch_size)
        self._padded_budget = RowBudget(padded_rows, padded_rows)
        self.max_prompt_tokens = max_prompt_tokens
        self.device = self.model.device
        self.precision = precision_name(loaded.model.dtype)

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield ``(number of the prompt, its text)`` as texts finish; see :class:`Generator`."""
        for row, finish in self._write(prompts, partial(self._row, decoding), decoding):
            yield row.number, self._text(row, finish, decoding)

    def write_tokens(
        self, prompts: Sequence[tuple[Sequence[int], Sequence[int]]], decoding: Decoding
    ) -> list[tuple[list[int], Finish]]:
        """Return the tokens written after each prompt, one that ends the text included.

        For a model under training: nothing is kept that weights of earlier steps computed.

        Args:
            prompts: Each prompt's tokens, and those that its text begins with, which are not
                returned.
            decoding: How to decode.
        """
        if self.prefixes is not None:
            self.prefixes = PrefixStore(self.model)

        def row(number: int, prompt: tuple[Sequence[int], Sequence[int]]) -> Row:
            return self._begun(number, *prompt, decoding)

        written = {r.number: (r.written, end) for r, end in self._write(prompts, row, decoding)}
        return [written[number] for number in range(len(prompts))]

    def _write(
        self, prompts: Iterable[PromptT], make: Callable[[int, PromptT], Row], decoding: Decoding
    ) -> Iterator[tuple[Row, Finish]]:
        """Yield rows as their texts end."""
        prefixes = self.prefixes
        queue = RowQueue(prompts, make, prefixes)
        pad = int(self.tokenizer.pad_token_id)
        if prefixes is not None:
            continuation: Continuation = SlotContinuation(self.model, prefixes)
        elif self.loaded.is_encoder_decoder:
            continuation = EncoderDecoderContinuation(self.model, pad)
        else:
            self._check_state()
            continuation = DecoderContinuation(self.model, pad)
        finished = partial(self._finished, decoding)
        budget = self.budget if continuation.joins else self._padded_budget
        was_settled = budget.is_settled
        yield from Writer(continuation, queue, decoding, budget, finished, self.name).write()
        if budget.is_settled and not was_settled:
            say(f"{self.name} writes {budget}.")

    def count_tokens(self, prompt: str, decoding: Decoding) -> int:
        """Return how many tokens the model reads of a prompt, and of what it is contrasted with."""
        read = [prompt, contrasted(prompt)] if decoding.contrast else [prompt]
        return sum(len(self._prompt_ids(one, decoding)) for one in read)

    @cached_property
    def prefixes(self) -> PrefixStore | None:
        """The prefixes of prompts; ``None`` where the model cannot share them."""
        usable = not self.loaded.is_encoder_decoder and can_use_slots(self.model)
        return PrefixStore(self.model) if usable else None

    @cached_property
    def _keeps_its_state(self) -> bool:
        return keeps_its_state(self.model, int(self.tokenizer.pad_token_id))

    def _check_state(self) -> None:
        """Refuse a model whose texts would be others in a batch than alone."""
        if not self._keeps_its_state:
            raise ModelError(
                f"{self.name} keeps its state in a way that batches cannot follow.",
                "Serve it, e.g. with transformers serve, and name the server (docs/teachers.md).",
            )

    def _row(self, decoding: Decoding, number: int, prompt: str) -> Row:
        row = self._begun(number, *self._begun_ids(prompt, decoding), decoding)
        if decoding.contrast:
            row.against = self._prompt_ids(contrasted(prompt), decoding)
            self._check_room(len(row.against), decoding)
        return row

    def _begun(
        self, number: int, prompt: Sequence[int], begun: Sequence[int], decoding: Decoding
    ) -> Row:
        """Return a row whose text begins with given tokens."""
        read = [*prompt, *begun]
        self._check_room(len(read), decoding)
        sampler = _sampler(decoding, read, self.device)
        if self.loaded.is_encoder_decoder:
            return Row(number, list(prompt), sampler=sampler, begun=tuple(begun))
        return Row(number, read, sampler=sampler)

    @torch.inference_mode()
    def score(self, prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """Return each continuation's log-likelihood in nats; see :class:`Scorer`.

        Continuations of one prompt that stand next to each other cost little more than one: what
        they begin with is read once, where the model allows it.
        """
        read: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        for prompt in prompts:
            if prompt not in read:
                ids, begun = map(tuple, self._begun_ids(prompt, Decoding()))
                both = self.loaded.is_encoder_decoder
                read[prompt] = (ids, begun) if both else ((*ids, *begun), ())
        rows = [
            ScoredRow(read[prompt][0], tuple(self._ids(text)), read[prompt][1])
            for prompt, text in zip(prompts, continuations, strict=True)
        ]
        full = [row for row in rows if row.text]
        self._check_reads(max((len(row.prompt) + len(row.text) for row in full), default=0))
        pad = int(self.tokenizer.pad_token_id)
        if self.loaded.is_encoder_decoder:
            found = iter(score_pairs(self.model, full, pad))
        else:
            found = iter(score_lines(self.model, full, pad, self._shares_beginnings))
        return [next(found) if row.text else 0.0 for row in rows]

    @cached_property
    def _shares_beginnings(self) -> bool:
        return can_share_sources(self.model)

    def _finished(self, decoding: Decoding, row: Row) -> Finish | None:
        if row.written[-1] in self._end_tokens:
            return "stop"
        if decoding.stop:
            window = max(STOP_WINDOW, 2 * max(map(len, decoding.stop)))
            tail = self.tokenizer.decode(row.written[-window:], skip_special_tokens=True)
            if any(stop in tail for stop in decoding.stop):
                return "stop"
        return "length" if len(row.written) >= decoding.max_new_tokens else None

    def _text(self, row: Row, finish: Finish, decoding: Decoding) -> Generated:
        text = decoding.cut(self.tokenizer.decode(row.written, skip_special_tokens=True))
        logprob = row.logprob if decoding.logprobs else None
        read = len(row.prompt) + len(row.against or ()) + len(row.begun)
        return Generated(text, finish, read, len(row.written), logprob)

    @cached_property
    def _end_tokens(self) -> frozenset[int]:
        ends: set[int] = set()
        for value in (self.model.generation_config.eos_token_id, self.tokenizer.eos_token_id):
            ends |= set(value) if isinstance(value, list) else {value}
        return frozenset(end for end in ends if end is not None)

    def _check_room(self, longest: int, decoding: Decoding) -> None:
        """Refuse prompts that leave a decoder's positions no room for the text."""
        room = getattr(self.model.config, "max_position_embeddings", None)
        needed = longest + decoding.max_new_tokens
        if room is not None and not self.loaded.is_encoder_decoder and needed > room:
            raise ModelError(
                f"{self.name} reads {room} tokens, but a prompt and its text need {needed}.",
                "Use fewer shots or a lower max_new_tokens, or take another model.",
            )

    def _check_reads(self, longest: int) -> None:
        """Refuse texts that are longer than a decoder's positions."""
        room = getattr(self.model.config, "max_position_embeddings", None)
        if room is not None and not self.loaded.is_encoder_decoder and longest > room:
            raise ModelError(
                f"{self.name} reads {room} tokens, but a prompt and the text after it have "
                f"{longest}.",
                "Take a model that reads more.",
            )

    def _prompt_ids(self, prompt: str, decoding: Decoding) -> list[int]:
        if decoding.chat:
            return chat_ids(self.tokenizer, prompt, self.name)
        return prompt_ids(
            self.tokenizer,
            prompt,
            is_encoder_decoder=self.loaded.is_encoder_decoder,
            limit=self.max_prompt_tokens,
        )

    def _begun_ids(self, prompt: str, decoding: Decoding) -> tuple[list[int], list[int]]:
        """Return a prompt's tokens, and those that its text begins with."""
        if isinstance(prompt, BegunPrompt):
            return self._prompt_ids(prompt.prompt, decoding), self._ids(prompt.beginning)
        return self._prompt_ids(prompt, decoding), []

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def _sampler(
    decoding: Decoding, prompt: Sequence[int], device: torch.device
) -> torch.Generator | None:
    """Return a text's own random source, so that it depends on no other prompt."""
    if decoding.temperature <= 0:
        return None
    digest = hashlib.sha256(repr((decoding.seed, *prompt)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
