"""Cleaning of teacher texts: one paragraph, nothing after it, whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”\u2019)\]*]*(?=\s|$)")
_ENDED = re.compile(r"[.!?…]+[\"'”\u2019)\]*]*$")
_TAIL = 12
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|vs|approx|Jr|Sr|Inc|Ltd|e\.g|i\.e|cf)|\b[A-Z]"
    r"|(?:^|\s)\(?\d{1,2})\.$"
)


def clean(text: str, step: str) -> str:
    """Return a teacher's text as one paragraph without what was written after it.

    Revisions and critiques: the first line that is not blank, as in the paper. Rationales and
    counterfactual rationales: the first paragraph, its wrapped lines joined; what follows a blank
    line is the teacher going on to a next question. A paragraph that ends in a colon announces the
    next one, so the two are joined. White space becomes single spaces.

    Args:
        text: The text as generated.
        step: ``rationale``, ``critique``, ``revision`` or ``counterfactual``.
    """
    if step in ("critique", "revision"):
        parts = text.splitlines()
    else:
        parts = re.split(r"\n[^\S\n]*\n", text.strip().replace("\r\n", "\n"))
    kept: list[str] = []
    for part in parts:
        line = " ".join(part.split())
        if line:
            kept.append(line)
        if line and not (line.endswith(":") and step in ("rationale", "counterfactual")):
            break
    return " ".join(kept)


def cut_to_sentence(text: str) -> str:
    """Return a text up to the end of its last whole sentence; unchanged when it has none."""
    end = 0
    for match in sentence_ends(text):
        end = match.end()
    return text[:end] if end else text


def ends_sentence(text: str) -> bool:
    """Return whether a text ends as a sentence does."""
    return _ENDED.search(text[-_TAIL:]) is not None


def sentence_ends(text: str) -> Iterator[re.Match[str]]:
    """Yield the ends of sentences; stops of abbreviations, initials and list numbers are none."""
    for match in _SENTENCE_END.finditer(text):
        last = match.end() == len(text)
        if last or not _ABBREVIATION.search(
            text[max(0, match.start() - _TAIL) : match.start() + 1]
        ):
            yield match
