"""Asking a teacher so that no answer is lost: each text is stored as it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from distilwhy.generators.base import Decoding, Generator
from distilwhy.generators.recorded import StoredText
from distilwhy.teaching.store import TextStore


@dataclass(frozen=True)
class Request:
    """One text to ask for.

    Args:
        prompt: The whole prompt.
        decoding: How the text is decoded; the same for all requests asked together.
        step: The step that asks.
        example: Id of the example that it is about.
    """

    prompt: str
    decoding: Decoding
    step: str
    example: str


def ask_and_store(
    generator: Generator, store: TextStore, requests: Mapping[str, Request]
) -> Iterator[StoredText]:
    """Ask for texts and yield each when it is stored.

    Args:
        generator: The teacher.
        store: Where the texts go.
        requests: What is asked, by the key under which the text is stored; equal prefixes next to
            each other are cheapest.
    """
    if not requests:
        return
    keys, asked = list(requests), list(requests.values())
    prompts = [request.prompt for request in asked]
    for index, generated in generator.generate(prompts, asked[0].decoding):
        row = StoredText(
            key=keys[index],
            teacher=generator.name,
            step=asked[index].step,
            example=asked[index].example,
            # A lone surrogate, which a server may send, cannot be written as UTF-8.
            text=generated.text.encode("utf-8", "replace").decode(),
            finish=generated.finish,
            prompt_tokens=generated.prompt_tokens,
            completion_tokens=generated.completion_tokens,
        )
        store.append(row)
        yield row
