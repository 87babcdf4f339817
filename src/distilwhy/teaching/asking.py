"""Asking a teacher so that no answer is lost: each text is stored as it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distilwhy.errors import ConfigError
from distilwhy.generators.base import Decoding, Generator
from distilwhy.generators.recorded import StoredText, text_key
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


class TextSource(Protocol):
    """Where texts come from: a store of them and, for those that it lacks, a teacher."""

    @property
    def name(self) -> str:
        """The teacher's model string."""

    def key(self, prompt: str, decoding: Decoding) -> str:
        """Return the key of a request, see :func:`text_key`."""

    def get(self, key: str) -> StoredText | None:
        """Return the text that is there already, if there is one."""

    def ask(self, requests: Mapping[str, Request]) -> Iterator[StoredText]:
        """Ask for texts and yield each when it is stored.

        Args:
            requests: What is asked, by its key; equal prefixes next to each other are cheapest.
        """


class StoredTeacher:
    """A teacher whose texts are stored as they arrive.

    Args:
        generator: The teacher.
        store: Where the texts go.
    """

    def __init__(self, generator: Generator, store: TextStore) -> None:
        self.name = generator.name
        self.store = store
        self._generator = generator

    def key(self, prompt: str, decoding: Decoding) -> str:
        """See :class:`TextSource`."""
        return text_key(prompt, self.name, decoding)

    def get(self, key: str) -> StoredText | None:
        """See :class:`TextSource`."""
        return self.store.get(key)

    def ask(self, requests: Mapping[str, Request]) -> Iterator[StoredText]:
        """See :class:`TextSource`."""
        if not requests:
            return
        keys, asked = list(requests), list(requests.values())
        prompts = [request.prompt for request in asked]
        decoding = asked[0].decoding
        for index, generated in self._generator.generate(prompts, decoding):
            if decoding.logprobs and generated.logprob is None:
                raise ConfigError(
                    f"{self.name} gives no likelihoods, so samples cannot be selected by them.",
                    "Set selection: gates, or take a teacher that gives likelihoods.",
                )
            row = StoredText(
                key=keys[index],
                teacher=self.name,
                step=asked[index].step,
                example=asked[index].example,
                # A lone surrogate, which a server may send, cannot be written as UTF-8.
                text=generated.text.encode("utf-8", "replace").decode(),
                finish=generated.finish,
                prompt_tokens=generated.prompt_tokens,
                completion_tokens=generated.completion_tokens,
                logprob=generated.logprob,
            )
            self.store.append(row)
            yield row


@contextmanager
def stored_teacher(generator: Generator, store_path: Path) -> Iterator[StoredTeacher]:
    """Open a store and ask a teacher for what it lacks.

    Args:
        generator: The teacher.
        store_path: The store; made when missing.

    Raises:
        DataError: When the store cannot be used.
    """
    with TextStore(store_path) as store:
        yield StoredTeacher(generator, store)
