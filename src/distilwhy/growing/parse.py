"""From a teacher's text to a new example, strictly: what is not whole and clean is not used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from distilwhy.generators.base import Finish
from distilwhy.growing.forms import FIELDS, Field
from distilwhy.growing.limits import Limits, Malformed, Refused
from distilwhy.growing.prompt import Asking, Place
from distilwhy.growing.shape import Shape
from distilwhy.prompts.wording import one_line
from distilwhy.records import LETTERS, Example
from distilwhy.tasks.answers import parse_answer
from distilwhy.tasks.words import normalise, words

LONGEST_TEXT = 20_000  # characters

_FIELD = re.compile(rf"[\s*#>_-]*({'|'.join(FIELDS)})[*_\s]*:[*_]*(.*)", re.IGNORECASE)
_TITLE = re.compile(r"[\s*#>_-]*Example\s+\d+[*_:.\s]*", re.IGNORECASE)
_LETTER = re.compile(r"\(([a-z])\)\s*")
_REFERS = re.compile(
    r"\b(?:all|none|any|both|neither|either) of (?:the (?:above|others?|choices)|these|them)\b"
    r"|\b(?:above|below)\s*$|\b(?:both|either)\s+\(?[a-d]\)?\s+(?:and|or)\s+\(?[a-d]\b",
    re.IGNORECASE,
)
_JOINERS = "\u200c\u200d"


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
            raise Refused("cut off", text[-60:])
        limits = Limits.of(asking)
        for field, value in values.items():
            limits.check(field, value, asking)
        return _example(values, place, asking.shape, limits, name)
    except Refused as refused:
        return refused.finding


def _check_characters(text: str) -> None:
    if not text.strip():
        raise Refused("empty")
    if len(text) > LONGEST_TEXT:
        raise Refused("too long", f"{len(text)} characters")
    for character in text:
        bad = unicodedata.category(character)[0] == "C" and character not in f"\n\r\t{_JOINERS}"
        if bad or character == "\ufffd":
            raise Refused("control characters", f"U+{ord(character):04X}")


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
                raise Refused("stray text", line.strip()[:60])
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
            raise Refused("stray text", line.strip()[:60])
    return _complete(values, place), False


def _needed(place: Place) -> set[Field]:
    """Return the fields that a text must hold; a label that was asked for may be left out."""
    return set(place.fields) - ({"Answer"} if place.label is not None else set())


def _full(values: dict[Field, str], place: Place) -> bool:
    return all(values.get(field) for field in _needed(place))


def _complete(values: dict[Field, str], place: Place) -> dict[Field, str]:
    missing = [field for field in place.fields if field in _needed(place) and not values.get(field)]
    if missing:
        raise Refused("field missing", missing[0])
    return values


def _example(
    values: dict[Field, str], place: Place, shape: Shape, limits: Limits, name: str
) -> Example:
    question = _tidy(values.get("Hypothesis") or values["Question"])
    context = values.get("Premise") or values.get("Context")
    if limits.marks and not question.endswith("?"):
        raise Refused("no question mark", question[-60:])
    if not words(question):
        raise Refused("empty", question[:60])
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
        raise Refused("other label", written[:60])


def _choices(lettered: str, limits: Limits, counts: Sequence[int]) -> tuple[str, ...]:
    """Return the choices of a question."""
    choices = tuple(_choice(text, limits) for text in _split(lettered))
    if len(choices) not in counts:
        raise Refused("number of choices", str(len(choices)))
    for choice in choices:
        if not choice or (not words(choice) and len(choice) > 1):
            raise Refused("choices not lettered", choice[:60])
        if len(choice) > limits.limit("Choices"):
            raise Refused("too long", f"choice: {len(choice)} characters")
        if _REFERS.search(choice):
            raise Refused("refers to choices", choice[:60])
    forms = [normalise(choice) for choice in choices]
    for form in forms:
        if forms.count(form) > 1:
            raise Refused("choice repeated", form[:60])
    return choices


def _answer(written: str, choices: tuple[str, ...]) -> str:
    answer = parse_answer(written, choices)
    if answer is None:
        raise Refused("answer not among choices", written[:60])
    return answer


def _split(lettered: str) -> list[str]:
    first, *rest = _LETTER.split(lettered)
    letters, texts = rest[::2], rest[1::2]
    if first.strip() or not letters or "".join(letters) != LETTERS[: len(letters)]:
        raise Refused("choices not lettered", lettered[:60])
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
