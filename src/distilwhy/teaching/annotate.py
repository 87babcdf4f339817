"""The resumable run that has the teacher explain, critique, revise and argue for wrong choices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distilwhy.config import TeachingSettings
from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.generators.base import Generator, Progress
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example, Record
from distilwhy.teaching.asking import TextSource, stored_teacher
from distilwhy.teaching.cost import CostTally, TeachingCost
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.gates import FlagCounts, count_flags
from distilwhy.teaching.plan import PLAN, planned
from distilwhy.teaching.steps import Asking
from distilwhy.teaching.waves import TeachingRun


class AnnotationResult(Record):
    """The annotations of a run and what was noticed on the way.

    Args:
        annotations: One for each example, in the examples' order.
        counts: By step, how many texts there are and how many failed each gate.
        cost: Texts, tokens and seconds.
    """

    annotations: tuple[Annotation, ...]
    counts: dict[str, FlagCounts]
    cost: TeachingCost


def annotate(
    examples: Sequence[Example],
    generator: Generator,
    settings: TeachingSettings,
    *,
    seed: int,
    store_path: Path,
    progress: Progress | None = None,
) -> AnnotationResult:
    """Have the teacher annotate examples (paper, 'Teacher data').

    Each text is stored as it arrives. Stopped at any moment and started again with the same
    arguments, the run asks only what the store lacks. A text that would build on an empty one is
    skipped and counted.

    Args:
        examples: Examples with answers.
        generator: The teacher.
        settings: Steps, methods, shots and decoding.
        seed: The experiment's seed, from which all draws are made.
        store_path: The store of texts; shared stores are fine, as keys hold all that matters.
        progress: Called with (texts done, texts in all), also for texts from the store.

    Raises:
        DataError: When examples have no answer, or the store cannot be used.
        ConfigError: When the prompt file cannot be used, or the teacher cannot do what is asked.
        StageError: When the teacher leaves prompts unanswered.
    """
    _check_answers(examples)
    with stored_teacher(generator, store_path) as source:
        return annotate_from(source, examples, settings, seed=seed, progress=progress)


def annotate_from(
    source: TextSource,
    examples: Sequence[Example],
    settings: TeachingSettings,
    *,
    seed: int,
    progress: Progress | None = None,
) -> AnnotationResult:
    """Annotate examples with the texts of a source; as :func:`annotate` otherwise."""
    asking = {
        family: Asking(load_prompts(family, settings.prompts), settings, seed)
        for family in sorted({example.family for example in examples})
    }
    drafts = [Draft(example, asking[example.family]) for example in examples]
    total = sum(planned(examples, settings).values())
    run = TeachingRun(source, settings, seed, CostTally(), total, progress)
    for work in PLAN:
        work(run, drafts)
    annotations = tuple(draft.annotation(source.name) for draft in drafts)
    return AnnotationResult(
        annotations=annotations, counts=count_flags(annotations), cost=run.tally.cost()
    )


def _check_answers(examples: Sequence[Example]) -> None:
    faults = [Fault(e.id, "the example has no answer") for e in examples if e.answer is None]
    raise_faults(DataError, "the task", faults, "The teacher explains known answers; give them.")
