"""Letters of choices in a teacher's text: do they belong to the choices that they stand for?"""

from __future__ import annotations

import re
from functools import lru_cache

from distilwhy.records import LETTERS
from distilwhy.tasks.words import normalise, words
from distilwhy.teaching.cleaning import sentence_ends

_LETTERED_TEXT = re.compile(r"(?:^|[\s(])\(?([a-z])\)\s*[\"'“\u2018*]*(?=\w)", re.IGNORECASE)
_OPTION = re.compile(
    r"\b(?:option|choice|answer)s?\s+(?:is\s+)?(?:\(([a-z])\)|([a-z])\)|([B-HJ-Z])\b)",
    re.IGNORECASE,
)
_SETS_ASIDE = re.compile(
    r"\b(?:not|no|nor|neither|cannot|incorrect|wrong|unlike|irrelevant|unrelated|less|other|others"
    r"|however|while|although|though|but|rather|instead|fails?|lacks?|may|might|could)\b|n['\u2019]t\b",
    re.IGNORECASE,
)


def wrong_letter(text: str, choices: tuple[str, ...], target: str) -> bool:
    """Return whether a text gives a choice the wrong letter.

    Either a letter stands before the words of a choice that has another letter, or a sentence that
    sets nothing aside names only letters of other choices than the one argued for.

    Args:
        text: The cleaned text.
        choices: The choices as shown, in order.
        target: The choice that the text argues for.
    """
    return _misletters(text, choices) or _names_other_letter(text, choices, target)


def _misletters(text: str, choices: tuple[str, ...]) -> bool:
    forms = _letters_of(choices)
    for match in _LETTERED_TEXT.finditer(text):
        following = words(text[match.end() : match.end() + 120])
        named = [form for form in forms if following[: len(form)] == form]
        if named and match.group(1).lower() not in forms[max(named, key=len)]:
            return True
    return False


@lru_cache(maxsize=4096)
def _letters_of(choices: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """The words of each choice -> the letters it is shown under (two where it stands twice)."""
    forms: dict[tuple[str, ...], str] = {}
    for letter, choice in zip(LETTERS, choices, strict=False):
        form = words(normalise(choice))
        if form:
            forms[form] = forms.get(form, "") + letter
    return forms


def _names_other_letter(text: str, choices: tuple[str, ...], target: str) -> bool:
    if not _OPTION.search(text):
        return False
    own = _letters_of(choices).get(words(normalise(target)), "")
    shown = LETTERS[: len(choices)]
    start = 0
    for end in [*(match.end() for match in sentence_ends(text)), len(text)]:
        sentence = text[start:end]
        start = end
        letters = {
            next(group for group in match.groups() if group).lower()
            for match in _OPTION.finditer(sentence)
        } & set(shown)
        if letters and not letters & set(own) and not _SETS_ASIDE.search(sentence):
            return True
    return False
