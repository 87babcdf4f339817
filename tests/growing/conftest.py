"""Seed examples of each family, and a teacher whose questions and answers are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pytest

from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.growing.prompt import Asking
from distilwhy.growing.settings import GrowingSettings
from distilwhy.growing.shape import shape_of
from distilwhy.records import Example

THINGS = ("kettle", "anchor", "violin", "ladder", "pillow", "compass", "bucket", "candle")
ROOMS = ("kitchen", "harbour", "stage", "garage")
NLI = ("entailment", "neutral", "contradiction")


def choice_seeds() -> list[Example]:
    return [
        Example(
            id=f"s{n}",
            question=f"Where is the {thing} kept?",
            choices=(*ROOMS, f"{thing} box"),
            answer=ROOMS[n % 4],
        )
        for n, thing in enumerate(THINGS)
    ]


def yes_no_seeds() -> list[Example]:
    return [
        Example(
            id=f"s{n}",
            question=f"Can a {thing} swim?",
            choices=("yes", "no"),
            answer=("yes", "no")[n % 2],
            family="yes_no",
        )
        for n, thing in enumerate(THINGS)
    ]


def nli_seeds() -> list[Example]:
    return [
        Example(
            id=f"s{n}",
            context=f"A man holds a {thing}.",
            question=f"Somebody owns a {thing}.",
            choices=NLI,
            answer=NLI[n % 3],
            family="nli",
        )
        for n, thing in enumerate(THINGS)
    ]


def label_seeds() -> list[Example]:
    labels = ("billing", "delivery", "other")
    return [
        Example(
            id=f"s{n}",
            question=f"My {thing} has not come.",
            choices=labels,
            answer=labels[n % 3],
        )
        for n, thing in enumerate(THINGS)
    ]


SEEDS: dict[str, Callable[[], list[Example]]] = {
    "choices": choice_seeds,
    "yes_no": yes_no_seeds,
    "nli": nli_seeds,
    "labels": label_seeds,
}
MakeAsking = Callable[..., Asking]


@pytest.fixture(scope="session")
def make_asking() -> MakeAsking:
    """Makes what prompts are made of, of a kind of seeds and settings."""

    def make(kind: str = "choices", seed: int = 0, **settings: object) -> Asking:
        seeds = SEEDS[kind]()
        chosen = GrowingSettings.model_validate({"model": "scripted", "shots": 3, **settings})
        return Asking("Where household things are.", seeds, shape_of(seeds), chosen, seed)

    return make


def asked_number(prompt: str) -> int | None:
    """Return the number of the example that a prompt asks for; ``None`` in answer prompts."""
    numbers = re.findall(r"^Example (\d+)$", prompt, re.M)
    return int(numbers[-1]) if numbers else None


def shown_choices(prompt: str) -> list[str]:
    """Return the choices of the question that an answer prompt ends with, in order."""
    line = next(line for line in reversed(prompt.split("\n")) if line.startswith("Choices: "))
    return re.split(r" ?\([a-z]\) ", line.removeprefix("Choices:"))[1:]


def scripted(
    texts: Mapping[int, str] | Sequence[str],
    answers: Callable[[str, list[str]], str],
    shots: int = 3,
) -> ScriptedGenerator:
    """Return a teacher that writes given texts and answers by a function.

    Args:
        texts: Texts by request, from 0; others are empty.
        answers: From the last block of an answer prompt and its choices to an answer.
        shots: Seed examples in each prompt; one more stands before the place to write.
    """
    given = dict(enumerate(texts)) if isinstance(texts, Sequence) else dict(texts)

    def write(prompt: str) -> str:
        number = asked_number(prompt)
        if number is None:
            return f" {answers(prompt.rsplit(chr(10) * 2, 1)[-1], shown_choices(prompt))}\nmore"
        return given.get(number - shots - 2, "")

    return ScriptedGenerator(write)


@pytest.fixture(scope="session")
def teacher_of() -> Callable[..., ScriptedGenerator]:
    """Makes a teacher of given texts and answers, see :func:`scripted`."""
    return scripted
