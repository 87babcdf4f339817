"""Local models through transformers: batches, shared prefixes once, finished rows leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from distilwhy.errors import ModelError
from distilwhy.generators.base import Decoding, Finish, Generated
from distilwhy.generators.prefixes import PrefixGroup, group_by_prefix
from distilwhy.models.load import LoadedModel
from distilwhy.models.logits import logits_only_at
from distilwhy.models.precision import precision_name
from distilwhy.models.tokens import prompt_ids

STOP_WINDOW = 12  # tokens looked at for a stop string; longer stop strings widen it


@dataclass
class _Row:
    """One text being written."""

    place: int
    prompt_tokens: int
    written: list[int] = field(default_factory=list)


class LocalGenerator:
    """Generates with a model on this machine.

    Args:
        loaded: The model and its tokenizer.
        batch_size: Texts written together.
        max_prompt_tokens: Prompts are cut at so many tokens, as a student's were in training.
    """

    def __init__(
        self, loaded: LoadedModel, batch_size: int = 16, max_prompt_tokens: int | None = None
    ) -> None:
        self.name = loaded.name
        self.loaded = loaded
        self.model: Any = loaded.model
        self.tokenizer: Any = loaded.tokenizer
        self.batch_size = batch_size
        self.max_prompt_tokens = max_prompt_tokens
        self.device = loaded.model.device
        self.precision = precision_name(loaded.model.dtype)

    def generate(
        self, prompts: Sequence[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield ``(index of the prompt, its text)`` as texts finish; see :class:`Generator`."""
        ids = [self._prompt_ids(prompt, decoding) for prompt in prompts]
        if self.loaded.is_encoder_decoder:
            yield from self._encoder_decoder(ids, decoding)
            return
        for group in group_by_prefix(ids):
            cache = self._prefill(ids[group.members[0]][: group.prefix]) if group.prefix else None
            for start in range(0, len(group.members), self.batch_size):
                members = group.members[start : start + self.batch_size]
                yield from self._decode(members, ids, group, cache, decoding)

    @torch.inference_mode()
    def score(self, prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """Return each continuation's log-likelihood in nats; see :class:`Generator`."""
        encoded = [
            (self._prompt_ids(prompt, Decoding()), self._ids(text))
            for prompt, text in zip(prompts, continuations, strict=True)
        ]
        order = sorted(range(len(encoded)), key=lambda place: sum(map(len, encoded[place])))
        scores = [0.0] * len(encoded)
        for start in range(0, len(order), self.batch_size):
            places = order[start : start + self.batch_size]
            for place, value in zip(
                places, self._scores([encoded[p] for p in places]), strict=True
            ):
                scores[place] = value
        return scores

    def _scores(self, rows: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        if self.loaded.is_encoder_decoder:
            start = int(self.model.config.decoder_start_token_id)
            inputs = self._padded([prompt for prompt, _ in rows], left=False)
            decoder = self._padded([[start, *text[:-1]] for _, text in rows], left=False)
            inputs |= {f"decoder_{name}": tensor for name, tensor in decoder.items()}
            counted = [[True] * len(text) for _, text in rows]
        else:
            inputs = self._padded([[*prompt, *text[:-1]] for prompt, text in rows], left=False)
            counted = [[False] * (len(prompt) - 1) + [True] * len(text) for prompt, text in rows]
        width = max(map(len, counted))
        select = torch.tensor([line + [False] * (width - len(line)) for line in counted])
        labels = torch.tensor([token for _, text in rows for token in text], device=self.device)
        with logits_only_at(self.model, select.to(self.device)):
            logits = self.model(**inputs, use_cache=False).logits.float()
        chosen = logits.log_softmax(-1).gather(-1, labels[:, None])[:, 0]
        return [float(part.sum()) for part in chosen.split([len(text) for _, text in rows])]

    @torch.inference_mode()
    def _prefill(self, prefix: Sequence[int]) -> DynamicCache:
        cache = DynamicCache(config=self.model.config)
        ids = torch.tensor([list(prefix)], device=self.device)
        self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache

    @torch.inference_mode()
    def _decode(
        self,
        members: Sequence[int],
        ids: Sequence[list[int]],
        group: PrefixGroup,
        prefix_cache: DynamicCache | None,
        decoding: Decoding,
    ) -> Iterator[tuple[int, Generated]]:
        """Write one batch of texts, each leaving the batch when it is finished."""
        rows = [_Row(place, len(ids[place])) for place in members]
        inputs = self._padded([ids[place][group.prefix :] for place in members], left=True)
        prefix = torch.ones(len(rows), group.prefix, dtype=torch.long, device=self.device)
        mask = torch.cat([prefix, inputs["attention_mask"]], dim=1)
        cache = _repeated(prefix_cache, len(rows), self.model.config)
        tokens = inputs["input_ids"]
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, group.prefix :]
        samplers = [_sampler(decoding, row.place, self.device) for row in rows]
        while rows:
            logits = self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            chosen = _choose(logits, samplers, decoding)
            for row, token in zip(rows, chosen, strict=True):
                row.written.append(token)
            endings = [self._finished(row, decoding) for row in rows]
            for row, finish in zip(rows, endings, strict=True):
                if finish is not None:
                    yield row.place, self._text(row, finish, decoding)
            kept = [i for i, finish in enumerate(endings) if finish is None]
            if len(kept) < len(rows):
                rows, samplers = [rows[i] for i in kept], [samplers[i] for i in kept]
                if not rows:
                    return
                index = torch.tensor(kept, device=self.device)
                cache.batch_select_indices(index)
                mask, positions = mask[index], positions[index]
            tokens = torch.tensor([[row.written[-1]] for row in rows], device=self.device)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            positions = positions[:, -1:] + 1

    @torch.inference_mode()
    def _encoder_decoder(
        self, ids: Sequence[list[int]], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        order = sorted(range(len(ids)), key=lambda place: (len(ids[place]), place))
        options: dict[str, Any] = {"max_new_tokens": decoding.max_new_tokens, "do_sample": False}
        if decoding.temperature > 0:
            torch.manual_seed(decoding.seed)
            options |= {"do_sample": True, "temperature": decoding.temperature, "top_k": 0}
        if decoding.stop:
            options |= {"stop_strings": list(decoding.stop), "tokenizer": self.tokenizer}
        for start in range(0, len(order), self.batch_size):
            places = order[start : start + self.batch_size]
            inputs = self._padded([ids[place] for place in places], left=False)
            written = self.model.generate(**inputs, **options)[:, 1:].tolist()
            for place, tokens in zip(places, written, strict=True):
                row = _Row(place, len(ids[place]))
                finish: Finish | None = None
                for token in tokens:
                    row.written.append(token)
                    finish = self._finished(row, decoding)
                    if finish is not None:
                        break
                yield place, self._text(row, finish or "length", decoding)

    def _finished(self, row: _Row, decoding: Decoding) -> Finish | None:
        if row.written[-1] in self._end_tokens():
            return "stop"
        if decoding.stop:
            window = max(STOP_WINDOW, 2 * max(map(len, decoding.stop)))
            tail = self.tokenizer.decode(row.written[-window:], skip_special_tokens=True)
            if any(stop in tail for stop in decoding.stop):
                return "stop"
        return "length" if len(row.written) >= decoding.max_new_tokens else None

    def _text(self, row: _Row, finish: Finish, decoding: Decoding) -> Generated:
        text = self.tokenizer.decode(row.written, skip_special_tokens=True)
        ends = [place for stop in decoding.stop if (place := text.find(stop)) >= 0]
        text = text[: min(ends)] if ends else text
        return Generated(text, finish, row.prompt_tokens, len(row.written))

    def _end_tokens(self) -> frozenset[int]:
        ends: set[int] = set()
        for value in (self.model.generation_config.eos_token_id, self.tokenizer.eos_token_id):
            ends |= set(value) if isinstance(value, list) else {value}
        return frozenset(end for end in ends if end is not None)

    def _prompt_ids(self, prompt: str, decoding: Decoding) -> list[int]:
        if decoding.chat:
            if self.tokenizer.chat_template is None:
                raise ModelError(
                    f"{self.name} has no chat template.", "Set chat: false, or take a chat model."
                )
            ids = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                add_generation_prompt=True,
                return_dict=False,
            )
            return list(ids)
        return prompt_ids(
            self.tokenizer,
            prompt,
            is_encoder_decoder=self.loaded.is_encoder_decoder,
            limit=self.max_prompt_tokens,
        )

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _padded(self, lines: Sequence[Sequence[int]], *, left: bool) -> dict[str, torch.Tensor]:
        width = max(map(len, lines))
        ids = torch.full((len(lines), width), int(self.tokenizer.pad_token_id))
        mask = torch.zeros(len(lines), width, dtype=torch.long)
        for number, line in enumerate(lines):
            part = slice(width - len(line), width) if left else slice(0, len(line))
            ids[number, part] = torch.tensor(list(line))
            mask[number, part] = 1
        return {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}


def _repeated(prefix: DynamicCache | None, rows: int, config: Any) -> DynamicCache:
    """Return a cache of its own for a batch, starting with a prefix computed once."""
    cache = DynamicCache(config=config)
    if prefix is not None:
        layers: Any = prefix.layers
        for place, layer in enumerate(layers):
            shape = (rows, -1, -1, -1)
            cache.update(layer.keys.expand(shape), layer.values.expand(shape), place)
    return cache


def _sampler(decoding: Decoding, place: int, device: torch.device) -> torch.Generator | None:
    """Return a row's own random source, so that a sample does not depend on the batch."""
    if decoding.temperature <= 0:
        return None
    return torch.Generator(device).manual_seed(decoding.seed * 1_000_003 + place)


def _choose(
    logits: torch.Tensor, samplers: Sequence[torch.Generator | None], decoding: Decoding
) -> list[int]:
    if decoding.temperature <= 0:
        return list(logits.argmax(-1).tolist())
    shares = (logits.float() / decoding.temperature).softmax(-1)
    return [
        int(torch.multinomial(share, 1, generator=sampler))
        for share, sampler in zip(shares, samplers, strict=True)
    ]
