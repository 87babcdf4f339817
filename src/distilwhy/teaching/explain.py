"""Rationales and counterfactual rationales: they share their prefixes, so they are one wave."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.config import TeachingSettings
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.draws import draw_wrong_choice
from distilwhy.teaching.steps import counterfactual_prompt, rationale_prompt
from distilwhy.teaching.waves import TeachingRun, Wanted


def explain(run: TeachingRun, drafts: Sequence[Draft]) -> None:
    """Have the answer of each example explained, and wrong choices argued for.

    Counterfactual rationales are asked for wrong choices only: the rationale is what arguing for
    the right choice would give.
    """
    places: list[tuple[Draft, str]] = []
    told = [draft for draft in drafts if may_be_told(run.settings) and not draft.kept]
    run.skip("rationale", len(drafts) - len(told) if may_be_told(run.settings) else 0)
    for draft in told:
        places.append((draft, draft.label))
    for draft in drafts:
        places += [(draft, choice) for choice in argued_for(run, draft)]
    wanted = [_wanted(draft, choice) for draft, choice in places]
    for (draft, choice), text in zip(places, run.texts(wanted), strict=True):
        if choice == draft.label:
            draft.rationale = text
        else:
            draft.counterfactuals[choice] = text


def may_be_told(settings: TeachingSettings) -> bool:
    """Return whether the teacher is told an answer to explain, at least where none is kept."""
    told = settings.rationales_from == "label" or settings.rejected == "label"
    return told and "rationale" in settings.steps


def argued_for(run: TeachingRun, draft: Draft) -> tuple[str, ...]:
    """Return the wrong choices of an example that the teacher argues for."""
    if "counterfactual" not in run.settings.steps:
        return ()
    if run.settings.counterfactuals == "one":
        return (draw_wrong_choice(draft.example, run.seed),)
    return draft.example.wrong_choices


def _wanted(draft: Draft, choice: str) -> Wanted:
    example, asking = draft.example, draft.asking
    if choice == draft.label:
        return Wanted(example, rationale_prompt(example, asking))
    return Wanted(example, counterfactual_prompt(example, choice, asking))
