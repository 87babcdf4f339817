"""The resumable run that has the teacher explain, critique, revise and argue for wrong choices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distilwhy.config import TeachingSettings
from distilwhy.errors import DataError, Fault, StoppedError, raise_faults
from distilwhy.generators.base import Generator
from distilwhy.progress import Advance
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example, Record
from distilwhy.teaching.asking import FREE, TextSource, stored_teacher
from distilwhy.teaching.cost import CostTally, TeachingCost
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.gates import FlagCounts, count_flags
from distilwhy.teaching.outcome import Outcome, outcome_of
from distilwhy.teaching.own_steps import load_own_steps
from distilwhy.teaching.plan import carry_out, planned
from distilwhy.teaching.spending import Terms
from distilwhy.teaching.steps import Asking
from distilwhy.teaching.waves import TeachingRun


class AnnotationResult(Record):
    """The annotations of a run and what was noticed on the way.

    Args:
        annotations: One for each example with a label, in the examples' order.
        counts: By step, how many texts there are and how many failed each gate.
        cost: Texts, tokens and seconds.
        outcome: What the methods of generation brought.
        unlabelled: With ``labels: teacher``, the examples that it gave no readable answer to.
    """

    annotations: tuple[Annotation, ...]
    counts: dict[str, FlagCounts]
    cost: TeachingCost
    outcome: Outcome
    unlabelled: tuple[Example, ...] = ()


def annotate(
    examples: Sequence[Example],
    generator: Generator,
    settings: TeachingSettings,
    *,
    seed: int,
    store_path: Path,
    terms: Terms = FREE,
    progress: Advance | None = None,
) -> AnnotationResult:
    """Have the teacher annotate examples (paper, 'Teacher data').

    Each text is stored as it arrives. Stopped at any moment and started again with the same
    arguments, the run asks only what the store lacks. A text that would build on an empty one is
    skipped and counted.

    Args:
        examples: Examples, with answers unless the teacher's own are the labels.
        generator: The teacher.
        settings: Steps, methods, shots and decoding.
        seed: The experiment's seed, from which all draws are made.
        store_path: The store of texts; shared stores are fine, as keys hold all that matters.
        terms: Budget and prices.
        progress: Told of texts done, also of those from the store, and of tokens and money.

    Raises:
        DataError: When labels are missing, or the store cannot be used.
        ConfigError: When the prompt file cannot be used, or the teacher cannot do what is asked.
        StageError: When the teacher leaves prompts unanswered.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    check_answers(examples, settings)
    with stored_teacher(generator, store_path, terms) as source:
        return annotate_from(source, examples, settings, seed=seed, progress=progress)


def annotate_from(
    source: TextSource,
    examples: Sequence[Example],
    settings: TeachingSettings,
    *,
    seed: int,
    progress: Advance | None = None,
) -> AnnotationResult:
    """Annotate examples with the texts of a source; as :func:`annotate` otherwise."""
    asking = {
        family: Asking(
            load_prompts(family, settings.prompts), settings, seed, load_own_steps(settings, family)
        )
        for family in sorted({example.family for example in examples})
    }
    drafts = [_draft(example, asking[example.family]) for example in examples]
    wanted = {step: n * settings.samples for step, n in planned(examples, settings).items()}
    run = TeachingRun(source, settings, seed, CostTally(), sum(wanted.values()), progress)
    try:
        labelled = carry_out(run, drafts)
    except StoppedError as stop:
        stop.missing = run.tally.missing(wanted)
        raise
    if examples and not labelled:
        raise DataError(
            f"{source.name} answered none of {len(examples)} questions readably, so none has a "
            "label.",
            "Take another teacher, or labels: gold.",
        )
    annotations = tuple(draft.annotation(source.name) for draft in labelled)
    return AnnotationResult(
        annotations=annotations,
        counts=count_flags(annotations),
        cost=run.tally.cost(source.usd),
        outcome=outcome_of(drafts, settings),
        unlabelled=tuple(draft.example for draft in drafts if draft.example.answer is None),
    )


def _draft(example: Example, asking: Asking) -> Draft:
    """Begin an annotation; a gold answer that is not the label is put where no prompt sees it."""
    if asking.settings.labels == "gold":
        return Draft(example, asking, gold=example.answer)
    return Draft(example.model_copy(update={"answer": None}), asking, gold=example.answer)


def check_answers(examples: Sequence[Example], settings: TeachingSettings) -> None:
    """Refuse examples without answers where answers are to be explained.

    Raises:
        DataError: Naming all such examples.
    """
    if settings.labels == "teacher":
        return
    faults = [Fault(e.id, "the example has no answer") for e in examples if e.answer is None]
    raise_faults(
        DataError,
        "the task",
        faults,
        "The teacher explains known answers; give them, or set labels: teacher.",
    )
