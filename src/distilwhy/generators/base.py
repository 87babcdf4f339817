"""The generator protocol: text in, text out, for teachers, students, judges and exported files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Decoding:
    """How texts are decoded; part of the key under which a text is stored.

    Args:
        max_new_tokens: Token limit of one text.
        stop: Strings that end a text; the text is cut before the first of them.
        temperature: 0 decodes greedily; sampling divides the logits by it.
        seed: Seed of sampling; unused when greedy.
        chat: Whether prompts are wrapped in the model's chat template.
        logprobs: Whether each text's own log-likelihood is wanted, where the backend knows it.
        contrast: Weight λ of contrastive decoding; 0 for none. Prompts are
            :class:`ContrastedPrompt` then.
    """

    max_new_tokens: int = 96
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    chat: bool = False
    logprobs: bool = False
    contrast: float = 0.0

    def cut(self, text: str) -> str:
        """Return a text up to the first stop string in it."""
        ends = [place for stop in self.stop if stop and (place := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text


@dataclass(frozen=True)
class Generated:
    """One generated text.

    Args:
        text: The text, cut before the first stop string, special tokens removed.
        finish: ``stop`` when the model ended it or a stop string came, else ``length``.
        prompt_tokens: Tokens in the prompt.
        completion_tokens: Tokens generated.
        logprob: Log-likelihood of the generated tokens in nats, summed; ``None`` unless asked for.
        lost_attempts: Earlier attempts at this text that a server may have charged for although
            no whole answer arrived (time-outs, broken bodies).
        cached_tokens: Of the prompt's tokens, those that a server says it had cached.
        refused: Why there is no text, where the model refuses this prompt and would take others;
            the text is empty then, and nothing was charged for it.
    """

    text: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    logprob: float | None = None
    lost_attempts: int = 0
    cached_tokens: int = 0
    refused: str | None = None


class ContrastedPrompt(str):
    """A prompt with another that its text must not follow from.

    A token is chosen by ``log p(token | prompt) - λ log p(token | against)``, λ being
    ``Decoding.contrast`` (Wang et al. 2023, SCOTT, section 3.1; their form is λ = 1/2).

    Args:
        prompt: The prompt.
        against: The other prompt, e.g. the same with a wrong answer.
    """

    against: str

    def __new__(cls, prompt: str, against: str) -> ContrastedPrompt:
        """Return the prompt, which is its text everywhere else."""
        made = super().__new__(cls, prompt)
        made.against = against
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return what copies in other processes are made of."""
        return str(self), self.against


class BegunPrompt(str):
    """A prompt with the beginning of the text that follows it, as a student learnt it.

    The two are turned into tokens apart, and an encoder-decoder reads the beginning in its decoder.

    Args:
        prompt: The prompt.
        beginning: What its text begins with; it is not part of the text returned.
    """

    prompt: str
    beginning: str

    def __new__(cls, prompt: str, beginning: str) -> BegunPrompt:
        """Return both as one string, which is what generators that know no parts read."""
        made = super().__new__(cls, prompt + beginning)
        made.prompt, made.beginning = prompt, beginning
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return what copies in other processes are made of."""
        return self.prompt, self.beginning


def contrasted(prompt: str) -> str:
    """Return the prompt that another is contrasted with.

    Raises:
        TypeError: When it is a plain prompt.
    """
    if not isinstance(prompt, ContrastedPrompt):
        raise TypeError("contrastive decoding needs a ContrastedPrompt")
    return prompt.against


def can_contrast(generator: Generator) -> bool:
    """Return whether a generator decodes contrastively, as its attribute ``contrasts`` says."""
    return bool(getattr(generator, "contrasts", False))


class Generator(Protocol):
    """Any language model that writes texts; one method is all that a backend needs."""

    name: str
    """The model string, which names the model in manifests and stores."""

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield ``(number of the prompt, its text)`` as texts finish, in any order.

        Prompts are taken one at a time, each when the backend begins on it: whoever gives them can
        end them early (a spent budget, an interrupt), and what was taken is still answered.

        Args:
            prompts: The prompts; equal prefixes next to each other are cheapest.
            decoding: How to decode.
        """
        ...


class Admitted(Protocol):
    """Prompts under a budget; a backend may find its prompts to be such (``isinstance`` says)."""

    def again(self, number: int) -> bool:
        """Return whether a prompt may be sent once more.

        To be called, from any thread, before a new attempt after one that may have been charged
        for although no whole answer came. Where it returns false, leave the prompt unanswered.

        Args:
            number: Number of the prompt.
        """


Count = Callable[[str, Decoding], int]
"""Counts the tokens of a prompt as it will be sent; a backend may have it as ``count_tokens``."""


class Scorer(Generator, Protocol):
    """A language model that also says how likely a given text is."""

    def score(self, prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """Return the log-likelihood (nats, summed over tokens) of each continuation.

        Args:
            prompts: One prompt for each continuation.
            continuations: Texts appended to the prompts.
        """
        ...


Progress = Callable[[int, int], None]
"""Called with (done, total) while work goes on."""


def generate_all(
    generator: Generator,
    prompts: Sequence[str],
    decoding: Decoding,
    progress: Progress | None = None,
) -> list[Generated]:
    """Return the texts of all prompts, in the prompts' order."""
    results: dict[int, Generated] = {}
    for index, generated in generator.generate(prompts, decoding):
        results[index] = generated
        if progress is not None:
            progress(len(results), len(prompts))
    return [results[index] for index in range(len(prompts))]
