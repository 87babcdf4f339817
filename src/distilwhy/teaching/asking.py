"""Asking a teacher so that no answer is lost: each text is stored as it arrives."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distilwhy.errors import ConfigError, StoppedError, UserError
from distilwhy.generators.base import Decoding, Generated, Generator, can_contrast
from distilwhy.generators.recorded import StoredText, stored_key
from distilwhy.teaching.admission import Admission, Interrupt
from distilwhy.teaching.ledger import Tokens
from distilwhy.teaching.refusals import Refusals
from distilwhy.teaching.spending import Spending, Terms
from distilwhy.teaching.store import TextStore

FREE = Terms()


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

    @property
    def note(self) -> str:
        """A note on how the asking goes, for a progress bar."""

    @property
    def usd(self) -> float | None:
        """Money spent so far; ``None`` without prices."""

    @property
    def refused(self) -> Container[str]:
        """Keys of requests that the teacher refused in this run; their texts are empty."""

    def key(self, prompt: str, decoding: Decoding) -> str:
        """Return the key of a request, see :func:`stored_key`."""

    def get(self, key: str) -> StoredText | None:
        """Return the text that is there already, if there is one."""

    def ask(self, requests: Mapping[str, Request]) -> Iterator[StoredText]:
        """Ask for texts and yield each when it is stored, or refused.

        Args:
            requests: What is asked, by its key; equal prefixes next to each other are cheapest.
        """


class StoredTeacher:
    """A teacher whose texts are stored as they arrive, within a budget.

    Args:
        generator: The teacher.
        store: Where the texts go.
        terms: Budget and prices.
    """

    def __init__(self, generator: Generator, store: TextStore, terms: Terms) -> None:
        self.name = generator.name
        self.store = store
        self.spending = Spending(store, terms)
        self.refused = Refusals(store.path, self.name)
        self._generator = generator

    def key(self, prompt: str, decoding: Decoding) -> str:
        """See :class:`TextSource`."""
        return stored_key(prompt, self.name, decoding, self.store)

    def get(self, key: str) -> StoredText | None:
        """See :class:`TextSource`."""
        return self.store.get(key) or self.refused.get(key)

    @property
    def usd(self) -> float | None:
        """See :class:`TextSource`."""
        return self.spending.usd

    @property
    def note(self) -> str:
        """See :class:`TextSource`."""
        usd = self.usd
        return f"{self.spending.rate:.0f} tokens/s" + ("" if usd is None else f", ${usd:.2f}")

    def ask(self, requests: Mapping[str, Request]) -> Iterator[StoredText]:
        """See :class:`TextSource`; SIGINT once answers what is in flight and asks no more.

        Raises:
            StoppedError: When the budget is reached or somebody wants to stop.
        """
        keys, denied = list(requests), False
        self._check_contrast(requests.values())
        if requests:
            self._check_precision()
        with Interrupt() as interrupt:
            # A prompt in flight reserves more than it will use, so room is left at a round's end.
            while keys and interrupt.signal is None:
                asked = [requests[key] for key in keys]
                admission = self._admission(asked, interrupt)
                yield from self._round(admission, keys, asked)
                keys = keys[admission.taken :]
                denied = admission.denied
                if not admission.taken:
                    break
            if interrupt.signal is not None:
                raise StoppedError("The run was asked to stop.", 128 + interrupt.signal)
        self.refused.check(first=not self.store.counts)
        if denied and (refusal := self.spending.refusal):
            raise StoppedError(str(refusal), 1, refusal.setting)

    def enough(self, missing: Mapping[str, int]) -> float | None:
        """Return what the setting of the budget that is reached must be to get missing texts too.

        Args:
            missing: Texts by step.
        """
        if not self.store.counts:
            return self.spending.at_most(sum(missing.values()))
        tokens, seconds = Tokens(), 0.0
        for step, count in missing.items():
            tokens += self.store.mean_tokens(step) * count
            seconds += self.store.mean_seconds(step) * count
        return self.spending.enough(tokens, seconds)

    def _admission(self, asked: Sequence[Request], interrupt: Interrupt) -> Admission:
        count = getattr(self._generator, "count_tokens", None)
        prompts = [request.prompt for request in asked]
        return Admission(prompts, asked[0].decoding, self.spending, interrupt, count)

    def _round(
        self, admission: Admission, keys: Sequence[str], asked: Sequence[Request]
    ) -> Iterator[StoredText]:
        """Ask for the texts that are admitted, and store them."""
        answered = False
        refused = False
        try:
            for number, generated in self._generator.generate(admission, asked[0].decoding):
                row = self._row(keys[number], asked[number], generated)
                if generated.refused is not None:
                    admission.refuse(number)
                    first = not self.store.counts
                    self.refused.add(row, generated.refused, first=first)
                    yield row
                    continue
                self._check_likelihood(asked[number].decoding, generated)
                self.store.append(row)
                admission.settle(number, row.step, generated)
                answered = True
                yield row
        except UserError:
            # A key that is refused, or an unknown model: nothing is charged for.
            refused = not answered
            raise
        finally:
            admission.close(charged=not refused)

    def _row(self, key: str, request: Request, generated: Generated) -> StoredText:
        return StoredText(
            key=key,
            teacher=self.name,
            step=request.step,
            example=request.example,
            # A lone surrogate, which a server may send, cannot be written as UTF-8.
            text=generated.text.encode("utf-8", "replace").decode(),
            finish=generated.finish,
            prompt_tokens=generated.prompt_tokens,
            completion_tokens=generated.completion_tokens,
            logprob=generated.logprob,
            cached_tokens=generated.cached_tokens,
        )

    def _check_contrast(self, requests: Iterable[Request]) -> None:
        contrasted = any(request.decoding.contrast for request in requests)
        if contrasted and not can_contrast(self._generator):
            raise no_contrast(self.name)

    def _check_precision(self) -> None:
        """Keep a local teacher's texts of one store in one precision, as they differ by it."""
        precision = getattr(self._generator, "precision", "unknown")
        if precision != "unknown":
            self.store.check_precision(self.name, precision)

    def _check_likelihood(self, decoding: Decoding, generated: Generated) -> None:
        if decoding.logprobs and generated.logprob is None:
            raise ConfigError(
                f"{self.name} gives no likelihoods, so samples cannot be selected by them.",
                "Set selection: gates, or take a teacher that gives likelihoods.",
            )


def no_contrast(name: str) -> ConfigError:
    """Return the refusal of a teacher that cannot decode contrastively."""
    return ConfigError(
        f"{name} cannot decode contrastively.", "Leave contrast out, or take a local teacher."
    )


@contextmanager
def stored_teacher(
    generator: Generator, store_path: Path, terms: Terms = FREE
) -> Iterator[StoredTeacher]:
    """Open a store and ask a teacher for what it lacks.

    Args:
        generator: The teacher.
        store_path: The store; made when missing.
        terms: Budget and prices.

    Raises:
        DataError: When the store cannot be used, or another process has it open.
    """
    with TextStore(store_path) as store:
        if terms.content is not None:
            store.check_teacher(generator.name, terms.content)
        if terms.precision is not None:
            store.check_precision(generator.name, terms.precision)
        teacher = StoredTeacher(generator, store, terms)
        try:
            yield teacher
        except StoppedError as stop:
            stop.enough = teacher.enough(stop.missing)
            teacher.refused.tell(whole=False)
            raise
        teacher.refused.tell(whole=True)
