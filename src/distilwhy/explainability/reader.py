"""A reader: a model that tells which answer it expects, having read question, rationale or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from distilwhy.generators.base import Decoding, Scorer, generate_all
from distilwhy.judging.judge import Judge
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example, Family
from distilwhy.tasks.answers import parse_answer
from distilwhy.tasks.base import choices_text, question_text
from distilwhy.tasks.words import words

SHOTS = 2
"""Worked examples before each question; a small model needs them to know what is asked of it."""
JUDGE_TOKENS = 32

UNDECIDED = "undecided"
UNREAD = ""
"""In place of an answer, where the reader gave none: a refused prompt, a text that is no answer."""

_BY_QUESTION = (
    "Answer the question with one of its choices. Write that choice and nothing else, or "
    "'undecided' if nothing speaks for one of them."
)
_BY_REASON = (
    "Read the reason and say which of the choices it leads to. Go by what the reason says, not by "
    "what you know. Write that choice and nothing else, or 'undecided' if it leads to none of them."
)


@dataclass(frozen=True)
class Reading:
    """What is read before an answer is expected. The choices are always shown.

    Args:
        example: The example.
        question: Whether its question (and context) is shown.
        rationale: The rationale that is shown; ``None`` for none.
    """

    example: Example
    question: bool = True
    rationale: str | None = None

    @property
    def text(self) -> str:
        """What is shown, up to where the answer begins."""
        lines = [question_text(self.example) if self.question else choices_text(self.example)]
        if self.rationale is not None:
            # On one line, so that nothing in it looks like a line of the prompt.
            lines.append(f"Reason: {' '.join(self.rationale.split())}")
        return "\n".join([*lines, "Answer:"])

    def prompt(self, shots: int = SHOTS) -> str:
        """Return worked examples that show the same parts, then this one.

        Args:
            shots: How many; the first of those that the package has for the family.
        """
        worked = _worked(self.example.family, self.question, self.rationale is not None)
        return "\n\n".join([*worked[:shots], self.text])


@cache
def _worked(family: Family, question: bool, rationale: bool) -> tuple[str, ...]:
    shown = []
    for worked in load_prompts(family).worked_examples:
        reason = worked.rationale if rationale else None
        reading = Reading(worked.example(family), question, reason)
        shown.append(f"{reading.text} {worked.answer}")
    return tuple(shown)


def expected_answers(scorer: Scorer, readings: Sequence[Reading]) -> list[str | None]:
    """Return the answer that a scorer expects after each reading, by the choices' likelihoods.

    A choice's score is its log-likelihood behind the reading, divided by its characters, so that
    short choices have no advantage (``acc_norm`` of lm-evaluation-harness; Brown et al. 2020, arXiv
    2005.14165, section 2.4, divide by tokens). To subtract the likelihood behind the choices alone
    (Holtzman et al. 2021, arXiv 2104.08315) was tried and left: with a small scorer it adds more
    noise than it takes away (docs/measures/consistency.md has the figures).

    Args:
        scorer: The model.
        readings: What it reads.

    Returns:
        Choices; ``None`` where two or more are exactly as likely.
    """
    # Each once, and sorted, so that a run asks in the same order as the last one.
    pairs = sorted({(r.prompt(), choice) for r in readings for choice in r.example.choices})
    found = scorer.score([prompt for prompt, _ in pairs], [f" {choice}" for _, choice in pairs])
    likely = dict(zip(pairs, found, strict=True))
    answers = []
    for reading in readings:
        prompt, choices = reading.prompt(), dict.fromkeys(reading.example.choices)
        scores = {choice: likely[prompt, choice] / len(choice) for choice in choices}
        most = max(scores.values())
        best = [choice for choice, score in scores.items() if score == most]
        answers.append(best[0] if len(best) == 1 else None)
    return answers


def judged_answers(judge: Judge, readings: Sequence[Reading]) -> list[str | None]:
    """Return the answer that a judge writes after each reading, greedily.

    Args:
        judge: The judge; its settings say whether it is asked in its chat format.
        readings: What it reads.

    Returns:
        Choices; ``None`` where it is undecided, ``UNREAD`` where it writes nothing or what is
        neither a choice nor 'undecided'.
    """
    prompts = [
        f"{_BY_QUESTION if reading.rationale is None else _BY_REASON}\n\n{reading.prompt()}"
        for reading in readings
    ]
    chat = judge.settings.chat
    decoding = Decoding(
        max_new_tokens=max(JUDGE_TOKENS, judge.settings.max_new_tokens),
        stop=() if chat else ("\n",),
        chat=chat,
    )
    return [
        _read(written.text, reading.example.choices)
        for written, reading in zip(generate_all(judge, prompts, decoding), readings, strict=True)
    ]


def _read(text: str, choices: Sequence[str]) -> str | None:
    answer = parse_answer(text, choices)
    return UNREAD if answer is None and UNDECIDED not in words(text) else answer
