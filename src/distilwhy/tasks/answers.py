"""From text to answer: one reading for students, teachers, baselines and rationales alike.

An answer counts when it *is* a choice after normalisation, or when the text says that it is the
answer. Finding a choice somewhere in the text never counts: 'no' stands in 'know', and a text that
names three choices has chosen none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from distilwhy.records import LETTERS
from distilwhy.tasks.words import collapse, mentions, normalise, trim, words

__all__ = ["mentions", "normalise", "parse_answer", "stated_answer", "strip_answer_prefix"]

_FORMS: tuple[Callable[[str], str], ...] = (str, collapse, trim, normalise)

_ADJECTIVES = r"(?:(?:correct|right|best|final|only|chosen|most\s+\w+|logical|suitable)\s+){0,2}"
_NOUNS = r"(?:answer|choice|option)"
_BE = r"(?:is|was|would\s+be|should\s+be|must\s+be)\b"
# A colon is part of the announcement only before white space: ':)' may be a choice.
_COLON = r"(?:\s*:(?=\s|$))?"
_FORWARD = re.compile(
    rf"\bthe\s+{_ADJECTIVES}{_NOUNS}(?:\s+(?:here|to\s+th(?:e|is)\s+question))?\s+{_BE}{_COLON}"
    rf"|\banswer\s*(?:\]{_COLON}|:|\s{_BE}{_COLON})"
    rf"|\brelationship(?:\s+between\s+[^.]{{1,60}}?)?\s+{_BE}(?:\s+one\s+of\b)?{_COLON}"
    r"|\bmak(?:ing|es?)\s+the\s+(?:relationship|(?:correct\s+)?answer)(?:\s+one\s+of\b)?"
    r"|\b(?:I|we)\s+(?:would\s+|will\s+)?(?:choose|pick|select|go\s+with)\b",
    re.IGNORECASE,
)
_BACKWARD = re.compile(
    rf"\s(?:is|are|was|remains)\s+(?:therefore\s+|thus\s+|clearly\s+)?"
    rf"(?:the\s+{_ADJECTIVES}{_NOUNS}\b|correct\b)",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    rf"\s*(?:\[\w+\]{_COLON}|(?:(?:so|therefore|thus|hence)\b\s*,?\s*)?"
    rf"(?:the\s+)?{_ADJECTIVES}answer\s*(?::|\b{_BE}{_COLON}))\s*",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"\s*(?:(?:option|choice|letter|clearly|probably|definitely|(?:most\s+)?likely|that|simply)\b"
    r"\s*:?\s*)+",
    re.IGNORECASE,
)
_BREAK = re.compile(
    r"[.!?](?=[\s\"'”\u2019)\]]|$)|[,;:\n(—\u2013]|\s-+\s"
    r"|\s(?=(?:because|since|as|which|where|when|while|due|given|so|but|rather|instead|and|or|not)\b)",
    re.IGNORECASE,
)
_LETTERED = re.compile(
    r"[\s*]*(?:\(([a-z])\)|([a-z])[).:])(?!\w)\s*(.*)", re.IGNORECASE | re.DOTALL
)
_LONE_LETTER = re.compile(
    r"\s*[\"'“”\u2018\u2019*`(\[]*([a-z])[\"'“”\u2018\u2019*`)\].,:!]*\s*", re.IGNORECASE
)
_CLAUSE_END = re.compile(r"[.;:!?,\n](?:\s|$)")
_NOT_STATED = re.compile(
    r"\b(?:not|never|neither|nor|if|whether|unless|unlike|cannot)\b|n['\u2019]t\b", re.IGNORECASE
)
_BEFORE_CHOICE = re.compile(
    r"(?:^|[\"'“”\u2018\u2019*(\[)\]:])\s*$"
    r"|\b(?:the|an?|that|so|then|therefore|thus|hence|option|choice|answer|why|because|and|but)\s+$",
    re.IGNORECASE,
)
_LETTER_LAST = re.compile(r"(?:\(([a-z])\)|\b(?:option|choice)\s+([b-hj-z]|[AI]))\s*$", re.I)
_BREAKS_TRIED = 12
_NAME_CHARS = 200


def strip_answer_prefix(text: str) -> str:
    """Return a text without the words that announce an answer, e.g. ``[answer] The answer is``.

    Args:
        text: An answer as written by a model or found in a foreign file. When nothing would be
            left, it is returned as it is, without the white space around it.
    """
    *_, rest = _without_prefixes(text)
    return rest


def parse_answer(text: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a text answers with, or ``None`` when it answers with none.

    Tried in turn: the whole text is a choice or its letter; what follows an announcement is one;
    the last answer stated ('the answer is X', 'X is the best choice'); the text opens with a
    choice and names no other.

    Args:
        text: The text that a model generated.
        choices: The choices as shown, in order.
    """
    options = tuple(choices)
    rest = text
    for rest in _without_prefixes(text):
        whole = _exact(rest, options)
        if whole is not None:
            return whole
    for cue in _FORWARD.finditer(text):
        whole = None if _denied(text[: cue.start()]) else _exact(text[cue.end() :], options)
        if whole is not None:
            return whole
    return _last_stated(text, options) or _opening(rest, options)


def stated_answer(text: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a rationale states to be the answer, or ``None`` when it states none.

    'The answer is X', 'the correct choice is (b)', 'X is the best answer', 'the relationship is
    neutral', and a leading 'Yes,' or 'No.' count; the last one wins. A choice that is merely named
    does not count, nor does a denied or conditional one.

    Args:
        text: A rationale.
        choices: The choices as shown, in order.
    """
    options = tuple(choices)
    stated = _last_stated(text, options)
    if stated is None and _is_yes_no(options):
        return _leading(text, options)
    return stated


def _without_prefixes(text: str) -> Iterator[str]:
    """Yield the text, then what is left of it after each announcement at its front."""
    rest = text.strip()
    yield rest
    while match := _PREFIX.match(rest):
        if not rest[match.end() :].strip(" .,:"):
            return
        rest = rest[match.end() :]
        yield rest


@lru_cache(maxsize=4096)
def _forms(choices: tuple[str, ...]) -> tuple[dict[str, str | None], ...]:
    """For each normal form, weakest first: form -> choice, or ``None`` where two share it."""
    tables: list[dict[str, str | None]] = []
    for form in _FORMS:
        table: dict[str, str | None] = {}
        for choice in dict.fromkeys(choices):
            key = form(choice)
            table[key] = None if key in table else choice
        tables.append(table)
    return tuple(tables)


@lru_cache(maxsize=4096)
def _is_yes_no(choices: tuple[str, ...]) -> bool:
    return {normalise(choice) for choice in choices} == {"yes", "no"}


def _exact(text: str, choices: tuple[str, ...]) -> str | None:
    """Return the choice that the whole text is: its text first, then its letter, or both."""
    for form, table in zip(_FORMS, _forms(choices), strict=True):
        key = form(text)
        if key in table:
            return table[key]
    lettered = _LETTERED.fullmatch(text)
    if lettered and lettered.group(3).strip():
        # '(c) bank' with bank lettered (b): the word is what was meant, letters get mixed up.
        return _exact_text(lettered.group(3), choices)
    lone = _LONE_LETTER.fullmatch(text)
    return _by_letter(lone.group(1), choices) if lone else None


def _exact_text(text: str, choices: tuple[str, ...]) -> str | None:
    return _forms(choices)[-1].get(normalise(text))


def _by_letter(letter: str, choices: tuple[str, ...]) -> str | None:
    index = LETTERS.index(letter.lower())
    return choices[index] if index < len(choices) else None


def _leading(segment: str, choices: tuple[str, ...]) -> str | None:
    """Return the choice that a text opens with, up to some break between words."""
    segment = segment.lstrip(": \n")
    lead_in = _LEAD_IN.match(segment)
    starts = (0, lead_in.end()) if lead_in else (0,)
    for start in starts:
        rest = segment[start:]
        found = _exact(rest, choices)
        if found is not None:
            return found
        breaks = [match for match, _ in zip(_BREAK.finditer(rest), range(_BREAKS_TRIED))]  # noqa: B905
        for match in reversed(breaks):
            found = _exact(rest[: match.start()], choices) if match.start() else None
            if found is not None:
                return None if _is_list(rest[match.start() :], found, choices) else found
        lettered = _LETTERED.match(rest)
        if lettered and lettered.group(1):
            named = _named_first(lettered.group(3), choices)
            return named or _by_letter(lettered.group(1), choices)
    return None


def _named_first(text: str, choices: tuple[str, ...]) -> str | None:
    """Return the longest choice whose words a text begins with."""
    spoken = words(text[:_NAME_CHARS])
    named = [
        choice
        for choice in dict.fromkeys(choices)
        if (form := words(normalise(choice))) and spoken[: len(form)] == form
    ]
    return max(named, key=len, default=None)


def _is_list(rest: str, found: str, choices: tuple[str, ...]) -> bool:
    """Return whether a choice goes on to another one: 'bank, river or park', 'bank or river'."""
    following = re.match(r"[\s,;:(/.]*(?:(?:and|or)\s+)?(?:\(?[a-z]\)\s*)?", rest, re.IGNORECASE)
    tail = rest[following.end() :] if following else rest
    for match in _BREAK.finditer(tail + "."):
        other = _exact_text(tail[: match.start()], choices) if match.start() else None
        return other is not None and other != found
    return False


def _last_stated(text: str, choices: tuple[str, ...]) -> str | None:
    stated = [*_forward(text, choices), *_backward(text, choices)]
    return max(stated)[1] if stated else None


def _forward(text: str, choices: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for cue in _FORWARD.finditer(text):
        if _denied(text[: cue.start()]):
            continue
        found = _leading(text[cue.end() :], choices)
        if found is not None:
            yield cue.end(), found


def _backward(text: str, choices: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for cue in _BACKWARD.finditer(text):
        before = text[: cue.start()]
        found = None if _denied(before) else _trailing(_last_clause(before), choices)
        if found is not None:
            yield cue.end(), found


def _trailing(clause: str, choices: tuple[str, ...]) -> str | None:
    """Return the choice that a clause ends with: 'so (b) bank', 'therefore the bank', '(b)'."""
    letter = _LETTER_LAST.search(clause)
    if letter:
        return _by_letter(letter.group(1) or letter.group(2), choices)
    found = _exact(clause, choices)
    if found is not None:
        return found
    folded = collapse(clause).casefold().rstrip("\"'“”\u2018\u2019*`) ")
    for choice in sorted(set(choices), key=len, reverse=True):
        form = normalise(choice)
        if folded.endswith(form) and _BEFORE_CHOICE.search(folded[: len(folded) - len(form)]):
            return choice
    return None


def _last_clause(before: str) -> str:
    ends = [match.end() for match in _CLAUSE_END.finditer(before)]
    return before[ends[-1] :] if ends else before


def _denied(before: str) -> bool:
    """Return whether the clause that leads up to a statement denies it or makes it a condition."""
    return _NOT_STATED.search(_last_clause(before)) is not None


def _opening(text: str, choices: tuple[str, ...]) -> str | None:
    """Return the choice that a text opens with, when it names no other or opens with a letter."""
    found = _leading(text, choices)
    if found is None or _is_yes_no(choices):
        return found
    lettered = _LETTERED.match(text)
    if lettered and lettered.group(1):
        return found
    return None if any(mentions(text, other) for other in set(choices) - {found}) else found
