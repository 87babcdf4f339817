"""A deterministic stand-in for a model, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from distilwhy.generators.base import Decoding, Generated

IN_FLIGHT = 8


class ScriptedGenerator:
    """A generator whose texts a function writes.

    Tokens are words. Eight prompts at a time are taken, and their texts yielded last prompt first,
    so that nothing comes to rely on their order.

    Args:
        write: Turns a prompt into a text; may raise, as a model may.
        likelihood: Turns a prompt and a continuation into a log-likelihood in nats.
        name: The model string that it goes by.
        sample: Turns a prompt and the seed of sampling into a text; used at a temperature above 0.
    """

    def __init__(
        self,
        write: Callable[[str], str],
        likelihood: Callable[[str, str], float] | None = None,
        name: str = "scripted",
        sample: Callable[[str, int], str] | None = None,
    ) -> None:
        self.name = name
        self.calls: list[str] = []
        """All prompts asked so far, in the order asked."""
        self._write = write
        self._likelihood = likelihood
        self._sample = sample

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield the text of each prompt, cut at stop strings and at the token limit."""
        numbered = iter(enumerate(prompts))
        while taken := list(islice(numbered, IN_FLIGHT)):
            for index, prompt in reversed(taken):
                self.calls.append(prompt)
                yield index, self._generated(prompt, decoding)

    def count_tokens(self, prompt: str, decoding: Decoding) -> int:
        """Return how many words a prompt has."""
        return len(prompt.split())

    def score(self, prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """Return the log-likelihoods that the function gives.

        Raises:
            NotImplementedError: When no function was given.
        """
        if self._likelihood is None:
            raise NotImplementedError("this scripted generator was given no likelihood function")
        return [self._likelihood(*pair) for pair in zip(prompts, continuations, strict=True)]

    def _generated(self, prompt: str, decoding: Decoding) -> Generated:
        sampled = self._sample if decoding.temperature > 0 else None
        text = decoding.cut(sampled(prompt, decoding.seed) if sampled else self._write(prompt))
        words = text.split()
        wanted = self._likelihood if decoding.logprobs else None
        over = len(words) > decoding.max_new_tokens
        return Generated(
            text=" ".join(words[: decoding.max_new_tokens]) if over else text,
            finish="length" if over else "stop",
            prompt_tokens=len(prompt.split()),
            completion_tokens=min(len(words), decoding.max_new_tokens),
            logprob=wanted(prompt, text) if wanted else None,
        )
