"""The teacher's own answers, asked for without the gold one: labels, and rationales of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from distilwhy.config import TeachingSettings
from distilwhy.generators.recorded import StoredText
from distilwhy.records import Example
from distilwhy.tasks.answers import parse_answer
from distilwhy.teaching.drafts import Draft, OwnAnswer
from distilwhy.teaching.gates import teacher_text
from distilwhy.teaching.samples import SELECTIONS, Sample, mean_likelihood
from distilwhy.teaching.steps import answer_prompt
from distilwhy.teaching.waves import TeachingRun, Wanted


def needs_own_answers(settings: TeachingSettings) -> bool:
    """Return whether labels or rationales come from the teacher's own answers."""
    return settings.labels == "teacher" or settings.rationales_from == "own_answer"


def ask_own_answers(run: TeachingRun, drafts: Sequence[Draft]) -> None:
    """Ask for answer and reason without giving the answer, as often as there are samples."""
    if not needs_own_answers(run.settings):
        return
    wanted = [Wanted(draft.example, answer_prompt(draft.example, draft.asking)) for draft in drafts]
    for draft, rows in zip(drafts, run.samples(wanted), strict=True):
        draft.answers = tuple(_read(row, draft.example) for row in rows)


def settle_labels(run: TeachingRun, drafts: Sequence[Draft]) -> None:
    """With ``labels: teacher``, make the majority of the teacher's answers each example's answer.

    An example whose answers cannot be read keeps none.
    """
    if run.settings.labels == "teacher":
        for draft in drafts:
            answer = majority(draft.answers)
            draft.example = draft.example.model_copy(update={"answer": answer})


def keep_own_rationales(run: TeachingRun, drafts: Sequence[Draft]) -> None:
    """Keep reasons that led the teacher to the right answer (STaR, Zelikman et al. 2022).

    The rest is rejected; what becomes of examples without any is ``rejected``'s to say.
    """
    if run.settings.rationales_from != "own_answer":
        return
    select = SELECTIONS[run.settings.selection]
    for draft in drafts:
        agreed = majority(draft.answers) == draft.label
        if agreed or run.settings.selection != "agreement":
            samples = [_sample(answer, draft) for answer in leading(draft)]
            draft.rationale = select(samples).text if samples else None
        draft.kept = draft.rationale is not None


def leading(draft: Draft) -> list[OwnAnswer]:
    """Return the answers of a draft that are its label and give a reason."""
    found = [answer for answer in draft.answers if answer.choice == draft.label]
    return [answer for answer in found if _sample(answer, draft).text.text]


def majority(answers: Sequence[OwnAnswer]) -> str | None:
    """Return the choice named most often, of equals the one named first (self-consistency).

    Source: Wang et al. 2023, arXiv 2203.11171. Answers that name no choice have no vote.
    """
    votes = Counter(answer.choice for answer in answers if answer.choice is not None)
    return votes.most_common(1)[0][0] if votes else None


def split_answer(text: str, example: Example) -> tuple[str, str]:
    """Take the text of an answer prompt apart.

    Args:
        text: The teacher's text, e.g. ``flashlight. A tent is dark.``
        example: The example asked, whose choices may hold full stops themselves.

    Returns:
        The answer's text and the reason; the reason is empty when there is none.
    """
    text = text.strip()
    for choice in sorted(example.choices, key=len, reverse=True):
        match = re.match(rf"{re.escape(choice)}(?:[.:;,]|$)", text, re.IGNORECASE)
        if match:
            return text[: len(choice)], text[match.end() :].strip()
    answer, _, reason = text.partition(". ")
    return answer.rstrip("."), reason.strip()


def _read(row: StoredText, example: Example) -> OwnAnswer:
    answer, reason = split_answer(row.text, example)
    return OwnAnswer(parse_answer(answer, example.choices), reason, row)


def _sample(answer: OwnAnswer, draft: Draft) -> Sample:
    row = answer.row
    text = teacher_text(
        answer.reason,
        "rationale",
        draft.example,
        draft.label,
        row.finish,
        row.prompt_tokens,
        row.completion_tokens,
    )
    return Sample(text, mean_likelihood(row))
