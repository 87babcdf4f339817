"""The order in which the teacher is asked, and how many texts that makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from distilwhy.config import TeachingSettings
from distilwhy.records import Example
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.explain import explain
from distilwhy.teaching.rounds import criticise
from distilwhy.teaching.waves import TeachingRun

Work = Callable[[TeachingRun, Sequence[Draft]], None]
"""Asks the teacher for texts, a wave at a time, and puts them into the drafts."""

PLAN: tuple[Work, ...] = (explain, criticise)
"""What is done with the drafts, in order; each builds on those before."""


def planned(examples: Sequence[Example], settings: TeachingSettings) -> dict[str, int]:
    """Return how many texts each step may ask for, samples counted.

    Fewer are asked when the store has some, when equal prompts meet, and when steps are skipped.

    Args:
        examples: The examples to annotate.
        settings: Steps, methods and samples.
    """
    one = settings.counterfactuals == "one"
    texts = {
        "rationale": len(examples),
        "counterfactual": sum(1 if one else len(set(e.choices)) - 1 for e in examples),
        "critique": len(examples) * settings.critique_rounds,
        "revision": len(examples) * settings.critique_rounds,
    }
    wanted = Counter({step: texts[step] for step in texts if step in settings.steps})
    return {step: number * settings.samples for step, number in wanted.items()}
