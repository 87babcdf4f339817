"""A stand-in for a teacher: it writes worked examples' texts, and notes what it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from distilwhy.draws import draw
from distilwhy.generators.base import Count, Decoding
from distilwhy.generators.recorded import StoredText, stored_key
from distilwhy.prompts.library import WorkedExample
from distilwhy.prompts.wording import last_block
from distilwhy.records import Example, Family
from distilwhy.teaching.asking import Request


@dataclass
class Noted:
    """What a step asks for.

    Args:
        requests: All requests, in the order asked.
        prompt_bytes: Bytes of their prompts.
        prompt_tokens: Their tokens, where they can be counted; else 0.
        text_bytes: Bytes of the stand-ins' texts.
        text_tokens: Their tokens, where they can be counted; else 0.
    """

    requests: list[Request] = field(default_factory=list)
    prompt_bytes: int = 0
    prompt_tokens: int = 0
    text_bytes: int = 0
    text_tokens: int = 0


@dataclass(frozen=True)
class Known:
    """Bytes and tokens of a prompt that the teacher was asked before, and its step."""

    step: str
    bytes: int
    tokens: int


class StandIn:
    """A source of texts that asks nobody; see :class:`TextSource`.

    Texts that are stored are used as they are, so that what builds on them is what will be asked.
    For others stand texts of the same step that are stored, else those of worked examples, so that
    what builds on them has about its length.

    Args:
        name: The teacher's model string.
        stored: Texts that are there already, by key.
        examples: The examples that are asked about.
        worked: Worked examples of each family.
        count: Counts the tokens of a prompt, where that can be done without asking.
    """

    note = ""
    usd = None
    refused = frozenset[str]()

    def __init__(
        self,
        name: str,
        stored: Mapping[str, StoredText],
        examples: Sequence[Example],
        worked: Mapping[Family, Sequence[WorkedExample]],
        count: Count | None,
    ) -> None:
        self.name = name
        self.steps: dict[str, Noted] = {}
        """What is asked, by step."""
        self.known: dict[str, Known] = {}
        """What stored texts tell of their prompts, by key."""
        self._stored = stored
        self._written: dict[str, StoredText] = {}
        self._texts: dict[str, list[str]] = {}
        for row in stored.values():
            self._texts.setdefault(row.step, []).append(row.text)
        self._examples = {example.id: example for example in examples}
        self._worked = worked
        self._count = count

    def key(self, prompt: str, decoding: Decoding) -> str:
        """See :class:`TextSource`."""
        key = stored_key(prompt, self.name, decoding, self._stored)
        if (row := self._stored.get(key)) is not None:
            self.known[key] = Known(row.step, _bytes(prompt), row.prompt_tokens)
        return key

    def get(self, key: str) -> StoredText | None:
        """See :class:`TextSource`."""
        return self._stored.get(key) or self._written.get(key)

    def ask(self, requests: Mapping[str, Request]) -> Iterator[StoredText]:
        """See :class:`TextSource`."""
        for key, request in requests.items():
            text = self._text(request)
            noted = self.steps.setdefault(request.step, Noted())
            noted.requests.append(request)
            noted.prompt_bytes += _bytes(request.prompt)
            noted.text_bytes += _bytes(text)
            if self._count is not None:
                noted.prompt_tokens += self._count(request.prompt, request.decoding)
                noted.text_tokens += self._count(text, Decoding())
            row = StoredText(
                key=key,
                teacher=self.name,
                step=request.step,
                example=request.example,
                text=text,
                finish="stop",
                prompt_tokens=0,
                completion_tokens=0,
                logprob=0.0,
            )
            self._written[key] = row
            yield row

    def _text(self, request: Request) -> str:
        example = self._examples[request.example]
        worked = self._worked[example.family]
        if request.step == "answer":
            told = draw(worked, example.id, "stand-in").rationale
            return f" {example.answer or example.choices[0]}. {told}"
        field = request.step if request.step in ("critique", "revision") else "rationale"
        texts = self._texts.get(request.step) or [getattr(one, field) for one in worked]
        # A revision that says the same again would end the rounds.
        given = last_block(request.prompt)
        others = [text for text in texts if text.strip() not in given]
        return f" {draw(others or texts, example.id, request.step, 'stand-in')}"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
