"""From a teacher's text to a new example, strictly: what is not whole and clean is not used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from distilwhy.generators.base import Finish
from distilwhy.growing.forms import FIELDS, Field
from distilwhy.growing.prompt import Asking, Place
from distilwhy.growing.shape import Shape
from distilwhy.prompts.wording import one_line
from distilwhy.records import LETTERS, Example
from distilwhy.tasks.answers import parse_answer
from distilwhy.tasks.words import normalise, words

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

LONGEST_TEXT = 20_000  # characters
LONGER = 3  # times the longest seed's
LEAST_LIMIT: dict[Field, int] = {"Answer": 90, "Choices": 60}
LEAST_LIMIT_ELSE = 300

_FIELD = re.compile(rf"[\s*#>_-]*({'|'.join(FIELDS)})[*_\s]*:[*_]*(.*)", re.IGNORECASE)
_TITLE = re.compile(r"[\s*#>_-]*Example\s+\d+[*_:.\s]*", re.IGNORECASE)
_INSIDE = re.compile(rf"(?<!\w)(?:{'|'.join(FIELDS)})\s*:|\bExample\s+\d+\b", re.IGNORECASE)
_LETTER = re.compile(r"\(([a-z])\)\s*")
_MARKUP = re.compile(
    r"</?[a-z!][^<>]*>|```|https?://|!?\[[^\]]*\]\(|\*\*|\\(?:begin|frac|text)\b|&[a-z]+;",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:all|none|any|both|neither|either) of (?:the (?:above|others?|choices)|these|them)\b"
    r"|\b(?:above|below)\s*$|\b(?:both|either)\s+\(?[a-d]\)?\s+(?:and|or)\s+\(?[a-d]\b",
    re.IGNORECASE,
)
_JOINERS = "\u200c\u200d"
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


class _Refused(Exception):  # noqa: N818 - not an error, a finding
    def __init__(self, fault: Fault, detail: str = "") -> None:
        self.finding = Malformed(fault, detail)


def parse(
    text: str, finish: Finish, place: Place, asking: Asking, name: str
) -> Example | Malformed:
    """Read a question that a teacher wrote.

    Args:
        text: The text, which goes on where the place's prompt ends or begins with a field of its
            own.
        finish: Why the text ended.
        place: The place that it was written for.
        asking: What the prompt was made of.
        name: The example's id.

    Returns:
        The example, its choices in the order written, or why the text is none.
    """
    try:
        _check_characters(text)
        values, whole = _values(_spoken(text, place) if asking.settings.chat else text, place)
        if finish == "length" and not whole:
            raise _Refused("cut off", text[-60:])
        limits = Limits.of(asking)
        for field, value in values.items():
            limits.check(field, value, asking)
        return _example(values, place, asking.shape, limits, name)
    except _Refused as refused:
        return refused.finding


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
            raise _Refused("too long", f"{field}: {len(value)} characters")
        if not self.markup and (found := _MARKUP.search(value)):
            raise _Refused("markup", found[0][:60])
        if (found := _INSIDE.search(value)) and not _said_by_seeds(found[0], asking):
            raise _Refused("echo", found[0])
        if _repeats(value, asking):
            raise _Refused("echo", value[:60])


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


def _check_characters(text: str) -> None:
    if not text.strip():
        raise _Refused("empty")
    if len(text) > LONGEST_TEXT:
        raise _Refused("too long", f"{len(text)} characters")
    for character in text:
        bad = unicodedata.category(character)[0] == "C" and character not in f"\n\r\t{_JOINERS}"
        if bad or character == "\ufffd":
            raise _Refused("control characters", f"U+{ord(character):04X}")


def _spoken(text: str, place: Place) -> str:
    """Return a chat model's text without what it says before the first field."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = _FIELD.fullmatch(line.rstrip("\r"))
        if match and match[1].capitalize() in (place.fields[0], place.opened):
            return "\n".join(lines[number:])
    return text


def _values(text: str, place: Place) -> tuple[dict[Field, str], bool]:
    """Return the fields' values, and whether more text follows them."""
    values: dict[Field, str] = {}
    current: Field | None = None
    for number, line in enumerate(text.replace("\r", "\n").split("\n")):
        match = _FIELD.fullmatch(line)
        if match:
            field = next(known for known in FIELDS if known.casefold() == match[1].casefold())
            if field in values:
                return _complete(values, place), True
            if field not in place.fields:
                raise _Refused("stray text", line.strip()[:60])
            values[field], current = match[2].strip(), field
        elif _TITLE.fullmatch(line) or not line.strip():
            if _full(values, place):
                return values, True
        elif number == 0 and not values:
            values[place.opened], current = line.strip(), place.opened
        elif current == "Choices" and _LETTER.match(line.strip()):
            values[current] = f"{values[current]} {line.strip()}".strip()
        elif _full(values, place):
            return values, True
        else:
            raise _Refused("stray text", line.strip()[:60])
    return _complete(values, place), False


def _needed(place: Place) -> set[Field]:
    """Return the fields that a text must hold; a label that was asked for may be left out."""
    return set(place.fields) - ({"Answer"} if place.label is not None else set())


def _full(values: dict[Field, str], place: Place) -> bool:
    return all(values.get(field) for field in _needed(place))


def _complete(values: dict[Field, str], place: Place) -> dict[Field, str]:
    missing = [field for field in place.fields if field in _needed(place) and not values.get(field)]
    if missing:
        raise _Refused("field missing", missing[0])
    return values


def _example(
    values: dict[Field, str], place: Place, shape: Shape, limits: Limits, name: str
) -> Example:
    question = _tidy(values.get("Hypothesis") or values["Question"])
    context = values.get("Premise") or values.get("Context")
    if limits.marks and not question.endswith("?"):
        raise _Refused("no question mark", question[-60:])
    if not words(question):
        raise _Refused("empty", question[:60])
    if place.label is not None:
        _check_label(values.get("Answer", ""), place.label)
        choices: tuple[str, ...] = shape.labels
        answer = place.label
    else:
        choices = _choices(values["Choices"], limits, shape.counts)
        answer = _answer(values["Answer"], choices)
    return Example(
        id=name,
        question=question,
        choices=choices,
        answer=answer,
        context=_tidy(context) if context else None,
        family=shape.family,
    )


def _check_label(written: str, label: str) -> None:
    if written and normalise(written) != normalise(label):
        raise _Refused("other label", written[:60])


def _choices(lettered: str, limits: Limits, counts: Sequence[int]) -> tuple[str, ...]:
    """Return the choices of a question."""
    choices = tuple(_choice(text, limits) for text in _split(lettered))
    if len(choices) not in counts:
        raise _Refused("number of choices", str(len(choices)))
    for choice in choices:
        if not choice or (not words(choice) and len(choice) > 1):
            raise _Refused("choices not lettered", choice[:60])
        if len(choice) > limits.limit("Choices"):
            raise _Refused("too long", f"choice: {len(choice)} characters")
        if _REFERS.search(choice):
            raise _Refused("refers to choices", choice[:60])
    forms = [normalise(choice) for choice in choices]
    for form in forms:
        if forms.count(form) > 1:
            raise _Refused("choice repeated", form[:60])
    return choices


def _answer(written: str, choices: tuple[str, ...]) -> str:
    answer = parse_answer(written, choices)
    if answer is None:
        raise _Refused("answer not among choices", written[:60])
    return answer


def _split(lettered: str) -> list[str]:
    first, *rest = _LETTER.split(lettered)
    letters, texts = rest[::2], rest[1::2]
    if first.strip() or not letters or "".join(letters) != LETTERS[: len(letters)]:
        raise _Refused("choices not lettered", lettered[:60])
    return texts


def _choice(text: str, limits: Limits) -> str:
    """Return a choice without what would tell it from the others: a list's comma, a full stop."""
    tidy = _tidy(text).rstrip(",;").rstrip()
    return tidy if limits.stops else tidy.rstrip(".").rstrip()


def _tidy(text: str) -> str:
    """Return a value on one line, without quotes or emphasis around the whole of it."""
    line = one_line(text)
    while len(line) > 1 and line[0] == line[-1] and line[0] in "\"'*_`":
        line = line[1:-1].strip()
    return line
