"""The order in which the teacher is asked, and how many texts that makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distilwhy.config import TeachingSettings
from distilwhy.records import Example
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.explain import explain, may_be_told
from distilwhy.teaching.own_answers import (
    ask_own_answers,
    keep_own_rationales,
    needs_own_answers,
    settle_labels,
)
from distilwhy.teaching.own_steps import take_own_steps
from distilwhy.teaching.rounds import criticise
from distilwhy.teaching.waves import TeachingRun

Work = Callable[[TeachingRun, Sequence[Draft]], None]
"""Asks the teacher for texts, a wave at a time, and puts what comes of them into the drafts."""

PLAN: tuple[Work, ...] = (keep_own_rationales, explain, criticise, take_own_steps)
"""What is done with drafts that have a label, in order; each builds on those before."""


def carry_out(run: TeachingRun, drafts: Sequence[Draft]) -> list[Draft]:
    """Ask the teacher for all that is planned and return the drafts that have a label.

    Args:
        run: What the run works with.
        drafts: A draft for each example.
    """
    ask_own_answers(run, drafts)
    settle_labels(run, drafts)
    labelled = [draft for draft in drafts if draft.example.answer is not None]
    without = [draft.example for draft in drafts if draft.example.answer is None]
    for step, texts in planned(without, run.settings).items():
        if step != "answer":
            run.skip(step, texts)
    for work in PLAN:
        work(run, labelled)
    return labelled


def planned(examples: Sequence[Example], settings: TeachingSettings) -> dict[str, int]:
    """Return how many texts each step wants at most; each is asked for ``samples`` times.

    Fewer are asked when the store has some, when equal prompts meet, and when some are skipped.

    Args:
        examples: The examples to annotate.
        settings: Steps and methods.
    """
    one = settings.counterfactuals == "one"
    rounds = settings.critique_rounds
    each = {
        "answer": int(needs_own_answers(settings)),
        "rationale": int(may_be_told(settings)),
        "critique": rounds if "critique" in settings.steps else 0,
        "revision": rounds if "revision" in settings.steps else 0,
        **{step.name: 1 for step in settings.own_steps},
    }
    texts = {step: number * len(examples) for step, number in each.items() if number}
    if "counterfactual" in settings.steps:
        texts["counterfactual"] = sum(1 if one else len(set(e.choices)) - 1 for e in examples)
    return texts
