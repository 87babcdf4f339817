"""Steps of one's own: a name and a prompt file in the experiment file, no code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distilwhy.config import TeachingSettings
from distilwhy.prompts.own import OwnPrompts, load_own_prompts
from distilwhy.prompts.wording import one_line
from distilwhy.records import Family
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.steps import own_prompt
from distilwhy.teaching.waves import TeachingRun, Wanted

BUILT_ON = ("rationale", "critique", "revision")
"""Texts of the shipped steps that an own step may build on."""


def load_own_steps(settings: TeachingSettings, family: Family) -> tuple[OwnPrompts, ...]:
    """Return the prompt content of a user's own steps, in the order in which they are taken.

    Args:
        settings: Names the steps and their files.
        family: Family of the questions.

    Raises:
        ConfigError: When a file cannot be used, naming all its faults.
    """
    names: list[str] = [name for name in BUILT_ON if name in settings.steps]
    loaded = []
    for step in settings.own_steps:
        loaded.append(load_own_prompts(family, Path(step.prompts), names))
        names.append(step.name)
    return tuple(loaded)


def take_own_steps(run: TeachingRun, drafts: Sequence[Draft]) -> None:
    """Ask for the texts of a user's own steps.

    A step that builds on a text which an example lacks, or which is empty, is skipped there.
    """
    for place, step in enumerate(run.settings.own_steps):
        ready = [(draft, _given(draft, draft.asking.own[place])) for draft in drafts]
        asked = [(draft, given) for draft, given in ready if all(given.values())]
        run.skip(step.name, len(drafts) - len(asked))
        wanted = [
            Wanted(
                draft.example,
                own_prompt(draft.example, step.name, draft.asking.own[place], given, draft.asking),
            )
            for draft, given in asked
        ]
        for (draft, _), text in zip(asked, run.texts(wanted), strict=True):
            draft.extra[step.name] = text


def _given(draft: Draft, prompts: OwnPrompts) -> dict[str, str]:
    """Return the texts that a step builds on, by name; empty where there is none."""
    last = draft.effective_round
    texts = {
        "rationale": draft.rationale,
        "critique": last.critique if last else None,
        "revision": last.revision if last else None,
        **draft.extra,
    }
    found = {name: texts.get(name) for name in prompts.built_on}
    return {name: one_line(text.text) if text else "" for name, text in found.items()}
