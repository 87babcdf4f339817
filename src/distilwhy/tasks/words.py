"""Words and normal forms of short texts: what it means that two texts say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_OPENING = "\"'`*_“”\u2018\u2019«»„([{<"
_CLOSING = "\"'`*_“”\u2018\u2019«»)]}>.,;:!?…"
_ARTICLE = re.compile(r"(?:the|an|a)\s+(?=\S)")
_WORD = re.compile(r"\d+(?:[.,]\d+)*[%+#]*|[^\W\d_]+(?:['\u2019][^\W\d_]+)*[%+#]*|[^\W_]")

_FUNCTION = (
    "a about after all also an and any are as at be because been before but by can could did do "
    "does each for from had has have he her here him his how i if in into is it its like likely "
    "may might more most my no not of off on one only or other our out over she should since so "
    "some such than that the their them then there these they this those to up was we were what "
    "when where which while who whom whose why will with would you your yes "
    # Words about the task itself say nothing about the question.
    "answer choice option question premise hypothesis relationship entailment neutral "
    "contradiction"
)
_FUNCTION_WORDS = frozenset(_FUNCTION.split())


def collapse(text: str) -> str:
    """Return the text with compatible characters unified and runs of white space made one space."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def trim(text: str) -> str:
    """Return the collapsed, case-folded text without the quotes, brackets and stops around it."""
    folded = collapse(collapse(text).casefold())
    trimmed = folded.lstrip(_OPENING + " ").rstrip(_CLOSING + " ")
    return trimmed or folded


@lru_cache(maxsize=8192)
def normalise(text: str) -> str:
    """Return the form in which two answers are compared.

    Unicode compatibility forms, case, white space, surrounding quotes, brackets and stops, and
    leading articles make no difference. A text of nothing else is kept, so the form of a text that
    is not blank is never empty.
    """
    form = trim(text)
    while True:
        shorter = trim(_ARTICLE.sub("", form, count=1)) if _ARTICLE.match(form) else trim(form)
        if shorter == form:
            return form
        form = shorter


@lru_cache(maxsize=8192)
def words(text: str) -> tuple[str, ...]:
    """Return the case-folded words of a text; a number with its stops is one word."""
    return tuple(
        _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'"))
    )


@lru_cache(maxsize=65536)
def singular(word: str) -> str:
    """Return a word without its English possessive or plural ending; a rule, not a dictionary."""
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) <= 3 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word[:-1]


@lru_cache(maxsize=8192)
def content_words(text: str) -> frozenset[str]:
    """Return the words of a text that say what it is about, in the singular."""
    # Before the plural is undone, which would make 'does' a doe.
    said = (word for word in words(text) if word not in _FUNCTION_WORDS)
    return frozenset(map(singular, said)) - _FUNCTION_WORDS


@lru_cache(maxsize=8192)
def _stems(text: str) -> tuple[str, ...]:
    return tuple(singular(word) for word in words(text))


def mentions(text: str, choice: str) -> bool:
    """Return whether a text names a choice, as whole words, whatever its case and number.

    Args:
        text: Any text.
        choice: The choice; a leading article is left aside. A choice that holds no word (``$$``)
            is looked for between white space.
    """
    wanted = _stems(normalise(choice))
    if not wanted:
        return collapse(choice) in collapse(text).split(" ")
    found = _stems(text)
    size = len(wanted)
    return any(
        found[start : start + size] == wanted
        for start in range(len(found) - size + 1)
        if found[start] == wanted[0]
    )


def hide(text: str, choices: Sequence[str], mask: str = "___") -> str:
    """Return a text in which a mask stands for every choice that it names.

    What counts as naming is as in :func:`mentions`; of two choices that share words, the words of
    both are hidden.

    Args:
        text: Any text; compatible characters and white space come back unified.
        choices: The choices.
        mask: What stands for a choice.
    """
    shown = collapse(text).replace("\u2019", "'")
    found = list(_WORD.finditer(shown))
    stems = [singular(match.group().casefold()) for match in found]
    hidden = [False] * len(shown)
    for choice in choices:
        wanted = list(_stems(normalise(choice)))
        size = len(wanted)
        spans = [
            (found[start].start(), found[start + size - 1].end())
            for start in range(len(found) - size + 1)
            if wanted and stems[start : start + size] == wanted
        ]
        if not wanted:
            alone = re.finditer(rf"(?<!\S){re.escape(collapse(choice))}(?!\S)", shown)
            spans = [match.span() for match in alone]
        for start, end in spans:
            hidden[start:end] = [True] * (end - start)
    kept = "".join("\0" if unseen else char for char, unseen in zip(shown, hidden, strict=True))
    return re.sub("\0+", lambda _: mask, kept)
