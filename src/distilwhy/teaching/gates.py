"""Gates that note what is wrong with a teacher's text.

A gate never changes or drops a text: it names a fault, and the counts go into the report. A new
gate is a new function in ``GATES``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import eq
from typing import Literal

from distilwhy.records import Annotation, Example, Record, Round, TeacherText
from distilwhy.tasks.answers import normalise, stated_answer
from distilwhy.tasks.words import content_words, words
from distilwhy.teaching.cleaning import clean, cut_to_sentence, ends_sentence
from distilwhy.teaching.letters import wrong_letter

__all__ = [
    "GATES",
    "FlagCounts",
    "Gated",
    "clean",
    "count_flags",
    "cut_to_sentence",
    "gate",
    "teacher_text",
]

Finish = Literal["stop", "length", "unknown"]
STEPS: tuple[str, ...] = ("rationale", "critique", "revision", "counterfactual")

_COPY_RUN = 5
_COPY_SHARE = 0.6
_LOOP_GRAM = 4
_LOOP_SHARE = 1 / 3
_LOOP_WORDS = 12
_TOPIC_WORDS = 10


@dataclass(frozen=True)
class Gated:
    """What the gates look at.

    Args:
        text: The cleaned text, before it is cut to whole sentences.
        example: The example it is about.
        target: The choice that it argues for; ``None`` when it argues for none (a critique).
        finish: How the text ended.
    """

    text: str
    example: Example
    target: str | None
    finish: Finish


class FlagCounts(Record):
    """How many texts of one step failed each gate.

    Args:
        n: Texts of the step.
        flags: Gate name -> texts that failed it; gates that none failed are left out.
    """

    n: int
    flags: dict[str, int]


def teacher_text(
    raw: str,
    step: str,
    example: Example,
    target: str | None,
    finish: Finish = "unknown",
    prompt_tokens: int | None = None,
    completion_tokens: int | None = None,
) -> TeacherText:
    """Return a teacher's text cleaned, gated and, when it was cut off, cut to whole sentences.

    Args:
        raw: The text as generated.
        step: The step that it was generated in.
        example: The example it is about.
        target: The choice that it argues for; ``None`` for a critique.
        finish: How generation ended; ``unknown`` for imported texts.
        prompt_tokens: Tokens in the prompt.
        completion_tokens: Tokens generated.
    """
    text = clean(raw, step)
    flags = gate(text, example, target, finish)
    if "truncated" in flags:
        # What is cut away can no longer be at fault.
        text = cut_to_sentence(text)
        rest = gate(text, example, target, "stop")
        flags = tuple(name for name in GATES if name == "truncated" or name in rest)
    return TeacherText(
        text=text,
        finish=finish,
        flags=flags,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


def gate(text: str, example: Example, target: str | None, finish: Finish) -> tuple[str, ...]:
    """Return the names of the gates that a cleaned text fails; an empty text fails only that one.

    Args:
        text: The cleaned text, before it is cut to whole sentences.
        example: The example it is about.
        target: The choice that it argues for; ``None`` when it argues for none.
        finish: How the text ended; for ``unknown``, a text without a sentence end counts as cut.
    """
    gated = Gated(text, example, target, finish)
    if is_empty(gated):
        return ("empty",)
    return tuple(name for name, fails in GATES.items() if fails(gated))


def count_flags(annotations: Iterable[Annotation]) -> dict[str, FlagCounts]:
    """Return, for each step, how many texts there are and how many failed each gate.

    All rounds of critique and revision count.
    """
    totals: Counter[str] = Counter()
    flags: dict[str, Counter[str]] = {step: Counter() for step in STEPS}  # in this order
    for annotation in annotations:
        for step, text in _texts(annotation):
            totals[step] += 1
            flags.setdefault(step, Counter()).update(text.flags)
    return {
        step: FlagCounts(
            n=totals[step], flags={name: flags[step][name] for name in GATES if flags[step][name]}
        )
        for step in flags
        if totals[step]
    }


def _texts(annotation: Annotation) -> Iterator[tuple[str, TeacherText]]:
    rounds = annotation.rounds or (
        Round(critique=annotation.critique, revision=annotation.revision),
    )
    texts = [("rationale", annotation.rationale)]
    for one in rounds:
        texts += [("critique", one.critique), ("revision", one.revision)]
    texts += [("counterfactual", text) for text in annotation.counterfactuals.values()]
    texts += annotation.extra.items()
    yield from ((step, text) for step, text in texts if text is not None)


def is_empty(gated: Gated) -> bool:
    """``empty``: no word at all."""
    return not words(gated.text)


def is_truncated(gated: Gated) -> bool:
    """``truncated``: the token limit was hit or, where that is unknown, no sentence ends it."""
    if gated.finish != "unknown":
        return gated.finish == "length"
    return not ends_sentence(gated.text)


def is_looping(gated: Gated) -> bool:
    """``looping``: more than a third of its four-word runs are repeats, or one to four words stand
    four times in a row. Texts under twelve words are only held to the second rule.
    """
    tokens = words(gated.text)
    if len(tokens) >= _LOOP_WORDS:
        grams = list(zip(*(tokens[offset:] for offset in range(_LOOP_GRAM)), strict=False))
        if 1 - len(set(grams)) / len(grams) > _LOOP_SHARE:
            return True
    return any(_repeats_in_a_row(tokens, size) for size in range(1, 5))


def _repeats_in_a_row(tokens: tuple[str, ...], size: int) -> bool:
    # One byte a word, whether it equals the word one period later: searching bytes is fast.
    same = bytes(map(eq, tokens, tokens[size:]))
    return b"\x01" * (3 * size) in same


def is_copied_question(gated: Gated) -> bool:
    """``copied_question``: most of it (60 % of its words) is runs of five or more words of the
    question or its context, or it opens with the whole question.
    """
    tokens = words(gated.text)
    question = words(gated.example.question)
    opens = len(question) >= _COPY_RUN and tokens[: len(question)] == question
    # A hypothesis is a statement, and a good explanation may well open by quoting it.
    if opens and gated.example.family != "nli":
        return True
    runs = _runs(gated.example.question, gated.example.context or "")
    copied: set[int] = set()
    for start in range(len(tokens) - _COPY_RUN + 1):
        if tokens[start : start + _COPY_RUN] in runs:
            copied.update(range(start, start + _COPY_RUN))
    return len(copied) > _COPY_SHARE * len(tokens)


@lru_cache(maxsize=64)
def _runs(question: str, context: str) -> frozenset[tuple[str, ...]]:
    return frozenset(
        source[start : start + _COPY_RUN]
        for source in (words(question), words(context))
        for start in range(len(source) - _COPY_RUN + 1)
    )


def contradicts_answer(gated: Gated) -> bool:
    """``contradicts_answer``: it states an answer other than the one it argues for."""
    if gated.target is None:
        return False
    stated = stated_answer(gated.text, gated.example.choices)
    return stated is not None and normalise(stated) != normalise(gated.target)


def has_wrong_letter(gated: Gated) -> bool:
    """``wrong_letter``: a letter stands before a choice that has another letter ('(d) cup' where
    cup is (c)), or a sentence that sets nothing aside names only another choice's letter
    ('option (c) fits best' where it argues for (b)).
    """
    if gated.target is None:
        return False
    return wrong_letter(gated.text, gated.example.choices, gated.target)


def is_off_topic(gated: Gated) -> bool:
    """``off_topic``: of its content words (ten or more), none stands in the question, its context
    or choices; teachers sometimes go on about a question of the prompt.
    """
    content = content_words(gated.text)
    example = gated.example
    asked = content_words(" ".join((example.question, example.context or "", *example.choices)))
    return len(content) >= _TOPIC_WORDS and bool(asked) and not content & asked


GATES: dict[str, Callable[[Gated], bool]] = {
    "empty": is_empty,
    "truncated": is_truncated,
    "looping": is_looping,
    "copied_question": is_copied_question,
    "contradicts_answer": contradicts_answer,
    "wrong_letter": has_wrong_letter,
    "off_topic": is_off_topic,
}
"""The gates by name, in the order in which flags are listed."""
