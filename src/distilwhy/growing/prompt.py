"""Prompts that have a teacher write a question, and answer one; they share their beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Template
from typing import Any

from distilwhy.config import read_yaml
from distilwhy.draws import draw, stable_number
from distilwhy.files import sha256_json
from distilwhy.generators.base import Decoding
from distilwhy.growing.balance import ranked_labels, shuffled
from distilwhy.growing.forms import Field, fields_of, title, written
from distilwhy.growing.settings import GrowingSettings
from distilwhy.growing.shape import Shape
from distilwhy.prompts.library import FOLDER
from distilwhy.prompts.wording import SEPARATOR, shown_question
from distilwhy.records import Example

ANSWER_TOKENS = 48
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Place:
    """A place to write one question.

    Args:
        number: Number of the request, from 0.
        label: The answer that the question should have; ``None`` where it has its own choices.
        fields: The fields that a text may hold, in order.
        opened: The field whose value the text begins with.
        prompt: The whole prompt.
        prefix: Its beginning, equal for all requests of the same draw.
    """

    number: int
    label: str | None
    fields: tuple[Field, ...]
    opened: Field
    prompt: str
    prefix: str


@dataclass(frozen=True)
class Asking:
    """All that prompts are made of.

    Args:
        description: What the questions are like, in the user's words.
        seeds: Seed examples.
        shape: Their shape.
        settings: How the teacher is asked.
        seed: Seed of all draws.
    """

    description: str
    seeds: Sequence[Example]
    shape: Shape
    settings: GrowingSettings
    seed: int

    @cached_property
    def wording(self) -> dict[str, Any]:
        """The shipped wording."""
        return dict(read_yaml(FOLDER / "growing.yaml"))

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the wording, for manifests."""
        return sha256_json(self.wording)

    @property
    def writing(self) -> Decoding:
        """How questions are decoded; a completion ends with its paragraph."""
        return Decoding(
            max_new_tokens=self.settings.max_new_tokens,
            stop=() if self.settings.chat else (SEPARATOR,),
            temperature=self.settings.temperature,
            seed=stable_number(self.seed, "write") % LARGEST_SEED,
            chat=self.settings.chat,
        )

    def answering(self, sample: int) -> Decoding:
        """Return how answers are decoded; each sample has a seed of its own."""
        return Decoding(
            max_new_tokens=ANSWER_TOKENS,
            stop=("\nQuestion:", "\nPremise:") if self.settings.chat else ("\n",),
            temperature=self.settings.answer_temperature,
            seed=stable_number(self.seed, "answer", sample) % LARGEST_SEED,
            chat=self.settings.chat,
        )

    def drawn(self, purpose: str, number: int) -> list[Example]:
        """Return the seed examples of a draw, in order; labels take turns where there are any."""
        order = sorted(
            self.seeds, key=lambda example: stable_number(self.seed, purpose, number, example.id)
        )
        if self.shape.labels:
            turns: dict[str, int] = {}
            ranks = ranked_labels(self.shape.labels, stable_number(self.seed, purpose, number))
            places = []
            for example in order:
                label = str(example.answer)
                turns[label] = turns.get(label, 0) + 1
                places.append((turns[label], ranks.index(label)))
            order = [order[i] for i in sorted(range(len(order)), key=places.__getitem__)]
        return order[: self.settings.shots]


def writing_place(number: int, label: str | None, asking: Asking) -> Place:
    """Ask for a new question (self-instruct: Wang et al. 2023, arXiv 2212.10560, section 2.2).

    Description and most seed examples come from a small pool of draws, so that many prompts share
    them; one more example, drawn for this request alone, and its number stand last.

    Args:
        number: Number of the request.
        label: The label that the question should have; ``None`` without labels.
        asking: What all prompts are made of.
    """
    chosen = stable_number(asking.seed, "pool", number) % asking.settings.draws
    shown = asking.drawn("write", chosen)
    extra = _extra(number, label, shown, asking)
    first = len(shown) + len(extra) + 1 + number
    parts = [_header(asking)]
    parts += [f"{title(i)}\n{_shown(example, asking)}" for i, example in enumerate(shown, 1)]
    prefix = SEPARATOR.join(parts) + SEPARATOR
    fields = fields_of(asking.shape, _has_context(number, asking))
    opening = [title(first)]
    if label is not None:
        opening.append(f"Answer: {label}")
    opened = fields[0] if label is None else fields[1]
    opening.append(f"{opened}:")
    last = [f"{title(first - 1)}\n{_shown(example, asking)}" for example in extra]
    if asking.settings.chat:
        last.append(_filled(asking.wording["write"]["chat"], number=str(first)))
    prompt = prefix + SEPARATOR.join([*last, "\n".join(opening)])
    return Place(number, label, fields, opened, prompt, prefix)


def mixed(example: Example, sample: int, asking: Asking) -> Example:
    """Return a question with its choices in the order in which a sample shows them."""
    return shuffled(example, asking.seed, "asked", sample, example.id)


def answer_prompt(example: Example, sample: int, asking: Asking) -> str:
    """Ask for the answer of a question, without giving it away.

    Every sample has other seed examples before it.

    Args:
        example: The question, as :func:`mixed` by the sample.
        sample: Number of the sample, from 0.
        asking: What all prompts are made of.
    """
    parts = [f"{asking.description}\n{asking.wording['answer'].strip()}"]
    drawn_for = sample % asking.settings.draws
    for seed_example in asking.drawn("answer", drawn_for):
        shown = shuffled(seed_example, asking.seed, "shown", drawn_for, seed_example.id)
        parts.append(f"{shown_question(shown)}\nAnswer: {shown.answer}")
    return SEPARATOR.join([*parts, f"{shown_question(example)}\nAnswer:"])


def _shown(example: Example, asking: Asking) -> str:
    """Return a seed example as written, its right answer anywhere among choices of its own."""
    if not asking.shape.labels:
        example = shuffled(example, asking.seed, "written", example.id)
    return written(example, asking.shape)


def _header(asking: Asking) -> str:
    shape, wording = asking.shape, asking.wording["write"]
    if shape.labels:
        text = _filled(wording["labels"], labels=", ".join(shape.labels))
    else:
        text = _filled(wording["choices"], count=" or ".join(map(str, shape.counts)))
    return f"{asking.description}\n{text}"


def _filled(template: str, **values: str) -> str:
    return Template(template).substitute(values).strip()


def _extra(
    number: int, label: str | None, shown: Sequence[Example], asking: Asking
) -> list[Example]:
    """Return the seed example that stands right before the place, if any is left to draw."""
    left = [
        example
        for example in asking.seeds
        if example not in shown and (label is None or example.answer == label)
    ]
    return [draw(left, asking.seed, "extra", number)] if left else []


def _has_context(number: int, asking: Asking) -> bool:
    """Draw whether a question has a context, as often as seed examples have one."""
    share = stable_number(asking.seed, "context", number) % 10_000 / 10_000
    return share < asking.shape.context
