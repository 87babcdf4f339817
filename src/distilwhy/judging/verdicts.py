"""From a judge's text to its verdict, strictly: what is not clear is no verdict."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from distilwhy.generators.base import Finish

LOWEST, HIGHEST = 1, 5
LONGEST_READ = 20_000  # characters
SHOWN = 60  # characters

Preferred = Literal["first", "second", "tie"]

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"</?think(?:ing)?>", re.IGNORECASE)
_SCALE = re.compile(
    r"\b(?:from\s+)?1\s*(?:to|-|\u2013)\s*5\b|(?<=\d)\s*(?:/|out\s+of)\s*5\b|\bscale\s+of\s+5\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\S*\d\S*", re.ASCII)
_COLON = re.compile(r"(?<=[A-Za-z)*])\s*[:=]")
_ANNOUNCED = re.compile(r"\b(?:rating|score|rate|verdict|answer)\b", re.IGNORECASE)
_AFTER = ".,;:!?)]}*_`\"'\u201c\u201d"
_AROUND = " \t*_`\"'\u201c\u201d([{#>:"
_TIE = re.compile(r"\b(?:tie|tied|draw|equal|equally|same|neither|both)\b", re.IGNORECASE)
_NAMED = re.compile(r"\b[AB]\b")
_LONE = re.compile(r"[ab]", re.IGNORECASE)
_OPENING = re.compile(
    r"(?i:(?:the\s+)?(?:better(?:\s+one)?|answer|choice|verdict|winner|preference)\b[\s:]*(?:is\b)?"
    r"[\s:*\"'(]*)?(?i:(?:explanation|option|text)\s+)?[\s*\"'(]*([AB])\b"
)


def read_rating(text: str, finish: Finish = "stop") -> int | None:
    """Return the rating that a text gives, from 1 to 5.

    A line counts that begins with a number, or that has a number and says that it is the rating.
    All such lines must hold one and the same whole number; '4/5', '4 out of 5' and a mention of the
    scale itself are read as what they are.

    Args:
        text: The judge's text.
        finish: Why it ended; a number at which it was cut off is not known to be whole.

    Returns:
        The rating; ``None`` where the text does not give one clearly.
    """
    found: set[str] = set()
    whole = _spoken(text)
    if whole is None or (finish == "length" and whole[-1:].isdigit() and len(whole) > 1):
        return None
    for raw in whole.split("\n"):
        line = _SCALE.sub(" ", _COLON.sub(" ", raw)).lstrip(_AROUND)
        numbers = [number.strip(_AROUND + _AFTER) for number in _NUMBER.findall(line)]
        if numbers and (_NUMBER.match(line) or _ANNOUNCED.search(line)):
            found.update(numbers)
    if len(found) != 1:
        return None
    number = found.pop()
    return int(number) if number.isdigit() and LOWEST <= int(number) <= HIGHEST else None


def read_preference(text: str) -> Preferred | None:
    """Return which of two explanations, A (shown first) or B, a text prefers.

    Its first line counts. It must name one of the two at its beginning and the other nowhere, or
    say that they are equal.

    Args:
        text: The judge's text.

    Returns:
        ``first``, ``second`` or ``tie``; ``None`` where the text does not say clearly.
    """
    whole = _spoken(text)
    if whole is None:
        return None
    line = whole.split("\n", 1)[0].strip(_AROUND + ".,;!)]}")
    if _LONE.fullmatch(line):
        return "first" if line in "Aa" else "second"
    named = set(_NAMED.findall(line))
    if _TIE.search(line):
        return "tie" if len(named) != 1 else None
    opening = _OPENING.match(line)
    if opening is None or len(named) != 1:
        return None
    return "first" if opening[1] == "A" else "second"


def shown(text: str) -> str:
    """Return the beginning of a judge's text in a form that can be shown anywhere, quoted."""
    line = " ".join(text[:LONGEST_READ].split())
    clean = "".join(c if unicodedata.category(c)[0] != "C" else "\ufffd" for c in line)
    return repr(clean if len(clean) <= SHOWN else f"{clean[:SHOWN]}...")


def _spoken(text: str) -> str | None:
    """Return what a text says after its thoughts; ``None`` where that is nothing."""
    rest = _THOUGHT.sub("", unicodedata.normalize("NFKC", text[:LONGEST_READ]))
    if _OPEN_THOUGHT.search(rest):
        return None  # cut off within its thoughts
    return rest.strip() or None
