"""Rounds of critique and revision: each criticises what the last one left, for another flaw."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distilwhy.records import Round
from distilwhy.tasks.words import collapse
from distilwhy.teaching.drafts import Draft, has_text
from distilwhy.teaching.steps import critique_prompt, revision_prompt
from distilwhy.teaching.waves import TeachingRun, Wanted

_NOTHING = re.compile(
    r"\bnothing\b(?:\s+\w+){0,3}?\s+to\s+"
    r"(?:mend|improve|fix|correct|change|revise|criti[cq]\w*|add|point\s+out)\b"
    r"|\b(?:there\s+(?:is|are)|(?:it|explanation)\s+(?:has|contains)|I\s+(?:see|find))\s+no\s+"
    r"(?:\w+\s+)?(?:flaw|fault|error|mistake|problem|issue)s?\b"
    r"|\bneeds?\s+no\s+(?:change|changes|mending|revision|correction|corrections|improvement)\b",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"\b(?:but|however|although|though|except|apart\s+from|other\s+than|yet|still)\b", re.IGNORECASE
)


def finds_nothing(critique: str, phrase: str = "") -> bool:
    """Return whether a critique says that there is nothing to mend.

    It does when it says so in one of a few forms ('there is nothing to mend', 'nothing to
    improve', 'there are no errors', 'it needs no change') or in the prompt file's own words, and
    takes nothing back ('but', 'however', 'except').

    Args:
        critique: The critique, cleaned.
        phrase: How the prompt file says it; may be in any language.
    """
    own = collapse(phrase).casefold().rstrip(".!")
    said = bool(own) and own in collapse(critique).casefold()
    return (said or bool(_NOTHING.search(critique))) and not _BUT.search(critique)


def criticise(run: TeachingRun, drafts: Sequence[Draft]) -> None:
    """Have explanations criticised and revised, round after round (paper, step 2).

    The first round is always whole, so that its texts are those of a run of one round. An example
    is settled, and asked about no more, when a critique finds nothing, when a revision equals the
    text that it revises (but for case and white space), or when a text that the next one would
    build on is empty. A critique of a later round that finds nothing is not followed by a
    revision: the last one stands.
    """
    if "critique" not in run.settings.steps:
        return
    for number in range(1, run.settings.critique_rounds + 1):
        _one_round(run, drafts, number)


def _one_round(run: TeachingRun, drafts: Sequence[Draft], number: int) -> None:
    going = [draft for draft in drafts if not draft.settled and draft.explanation]
    run.skip("critique", len(drafts) - len(going))
    critiques = run.texts([_critique_of(draft, number) for draft in going])
    for draft, critique in zip(going, critiques, strict=True):
        draft.rounds.append(Round(critique=critique))
        phrase = draft.asking.prompts.nothing_to_mend.critique
        draft.settled = not critique.text or finds_nothing(critique.text, phrase)
    if "revision" not in run.settings.steps:
        return
    revised = [d for d in going if has_text(d.rounds[-1].critique)]
    if number > 1:
        revised = [draft for draft in revised if not draft.settled]
    run.skip("revision", len(drafts) - len(revised))
    revisions = run.texts([_revision_of(draft, number) for draft in revised])
    for draft, revision in zip(revised, revisions, strict=True):
        unchanged = not revision.text or _same(revision.text, draft.explanation)
        draft.settled = draft.settled or unchanged
        draft.rounds[-1] = draft.rounds[-1].model_copy(update={"revision": revision})


def _critique_of(draft: Draft, number: int) -> Wanted:
    prompt = critique_prompt(draft.example, draft.explanation, draft.asking, number)
    return Wanted(draft.example, prompt)


def _revision_of(draft: Draft, number: int) -> Wanted:
    critique = draft.rounds[-1].critique
    assert critique is not None
    prompt = revision_prompt(draft.example, draft.explanation, critique.text, draft.asking, number)
    return Wanted(draft.example, prompt)


def _same(one: str, other: str) -> bool:
    return collapse(one).casefold() == collapse(other).casefold()
