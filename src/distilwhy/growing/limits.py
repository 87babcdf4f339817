"""What a new question may be like: what its seed examples are, and nothing of the prompt's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from distilwhy.growing.forms import FIELDS, Field
from distilwhy.growing.prompt import Asking
from distilwhy.records import LETTERS
from distilwhy.tasks.words import words

Fault = Literal[
    "empty",
    "cut off",
    "control characters",
    "markup",
    "too long",
    "field missing",
    "stray text",
    "echo",
    "no question mark",
    "other label",
    "choices not lettered",
    "number of choices",
    "choice repeated",
    "refers to choices",
    "answer not among choices",
]
"""Why a text is no question, in the order in which it is looked for."""

LONGER = 3  # times the longest seed's
LEAST_LIMIT: dict[Field, int] = {"Answer": 90, "Choices": 60}
LEAST_LIMIT_ELSE = 300

_INSIDE = re.compile(rf"(?<!\w)(?:{'|'.join(FIELDS)})\s*:|\bExample\s+\d+\b", re.IGNORECASE)
_MARKUP = re.compile(
    r"</?[a-z!][^<>]*>|```|https?://|!?\[[^\]]*\]\(|\*\*|\\(?:begin|frac|text)\b|&[a-z]+;",
    re.IGNORECASE,
)
_PHRASE = 4


@dataclass(frozen=True)
class Malformed:
    """A text that is no question.

    Args:
        fault: What is wrong.
        detail: The part at fault, or what was expected.
    """

    fault: Fault
    detail: str = ""


class Refused(Exception):  # noqa: N818 - not an error, a finding
    """Ends the reading of a text that is no question; ``finding`` says why."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        self.finding = Malformed(fault, detail)


@dataclass(frozen=True)
class Limits:
    """What seed examples have, so that new ones may have it too.

    Args:
        characters: Length of the longest value by field.
        markup: Whether any holds markup.
        stops: Whether any choice ends in a full stop.
        marks: Whether every question ends in a question mark.
    """

    characters: dict[Field, int]
    markup: bool
    stops: bool
    marks: bool

    @classmethod
    def of(cls, asking: Asking) -> Limits:
        """Return the limits that the seed examples set."""
        seeds = asking.seeds
        choice = max(len(choice) for seed in seeds for choice in seed.choices)
        question = max(len(seed.question) for seed in seeds)
        context = max(len(seed.context or "") for seed in seeds)
        texts = [t for s in seeds for t in (s.question, s.context or "", *s.choices)]
        return cls(
            characters={
                "Answer": choice,
                "Choices": choice,
                "Question": question,
                "Hypothesis": question,
                "Context": context,
                "Premise": context,
            },
            markup=any(_MARKUP.search(text) for text in texts),
            stops=any(choice.endswith(".") for seed in seeds for choice in seed.choices),
            marks=all(seed.question.rstrip().endswith("?") for seed in seeds),
        )

    def limit(self, field: Field) -> int:
        """Return how many characters a field, or one of several choices, may have."""
        return max(LONGER * self.characters[field], LEAST_LIMIT.get(field, LEAST_LIMIT_ELSE))

    def check(self, field: Field, value: str, asking: Asking) -> None:
        """Refuse a value that is too long, holds markup, or repeats the prompt."""
        longest = self.limit(field) * (len(LETTERS) if field == "Choices" else 1)
        if len(value) > longest:
            raise Refused("too long", f"{field}: {len(value)} characters")
        if not self.markup and (found := _MARKUP.search(value)):
            raise Refused("markup", found[0][:60])
        if (found := _INSIDE.search(value)) and not _said_by_seeds(found[0], asking):
            raise Refused("echo", found[0])
        if _repeats(value, asking):
            raise Refused("echo", value[:60])


def _said_by_seeds(text: str, asking: Asking) -> bool:
    return any(text in seed.question or text in (seed.context or "") for seed in asking.seeds)


def _repeats(value: str, asking: Asking) -> bool:
    """Return whether a value is a part of the prompt's own words."""
    said = words(value)
    if len(said) < _PHRASE:
        return False
    wording = asking.wording
    own = (asking.description, *wording["write"].values(), wording["answer"])
    joined = f" {' '.join(said)} "
    return any(joined in f" {' '.join(words(text))} " for text in own)
