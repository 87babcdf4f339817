"""The resumable loop that has the teacher explain, critique, revise and argue for wrong choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distilwhy.config import TeachingSettings
from distilwhy.errors import DataError, Fault, StageError, raise_faults
from distilwhy.generators.base import Generator, Progress
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example, Family, Record, TeacherText
from distilwhy.teaching.asking import Request, TextSource, stored_teacher
from distilwhy.teaching.cost import CostTally, TeachingCost
from distilwhy.teaching.draws import draw_wrong_choice
from distilwhy.teaching.gates import FlagCounts, count_flags, teacher_text
from distilwhy.teaching.steps import (
    Asking,
    Step,
    StepPrompt,
    counterfactual_prompt,
    critique_prompt,
    rationale_prompt,
    revision_prompt,
)


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


Place = tuple[int, Step, str | None]
"""Where a text belongs: number of the example, step, and the choice argued for."""


@dataclass(frozen=True)
class _Run:
    """What one annotation run works with; ``total`` is the number of texts in all."""

    examples: Sequence[Example]
    asking: Mapping[Family, Asking]
    source: TextSource
    tally: CostTally
    progress: Progress | None
    total: int

    def report(self) -> None:
        """Tell how far the run is."""
        if self.progress is not None:
            self.progress(self.tally.texts, self.total)


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
    arguments, the run asks only what the store lacks. Counterfactual rationales are asked for
    wrong choices only: the rationale is what arguing for the right choice would give. A critique or
    revision that would build on an empty text is skipped and counted.

    Args:
        examples: Examples with answers.
        generator: The teacher.
        settings: Steps, shots and decoding.
        seed: The experiment's seed, from which all draws are made.
        store_path: The store of texts; shared stores are fine, as keys hold all that matters.
        progress: Called with (texts done, texts in all), also for texts from the store.

    Raises:
        DataError: When examples have no answer, or the store cannot be used.
        ConfigError: When the prompt file cannot be used.
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
    waves = _waves(examples, settings, seed)
    texts: dict[Place, TeacherText] = {}
    total = sum(len(wave) for wave in waves)
    run = _Run(examples, asking, source, CostTally(), progress, total)
    for wave in waves:
        texts |= _fulfil(run, _wanted(run, wave, texts))
    annotations = tuple(
        _annotation(number, example, source.name, texts) for number, example in enumerate(examples)
    )
    return AnnotationResult(
        annotations=annotations, counts=count_flags(annotations), cost=run.tally.cost()
    )


def _check_answers(examples: Sequence[Example]) -> None:
    faults = [Fault(e.id, "the example has no answer") for e in examples if e.answer is None]
    raise_faults(DataError, "the task", faults, "The teacher explains known answers; give them.")


def _waves(examples: Sequence[Example], settings: TeachingSettings, seed: int) -> list[list[Place]]:
    """Return the texts to ask for, in waves that build on those before.

    Rationales and counterfactual rationales share their prefixes, so they go together.
    """
    first: list[Place] = []
    for number, example in enumerate(examples):
        if "rationale" in settings.steps:
            first.append((number, "rationale", example.answer))
        if "counterfactual" in settings.steps:
            one = settings.counterfactuals == "one"
            choices = (draw_wrong_choice(example, seed),) if one else example.wrong_choices
            first += [(number, "counterfactual", choice) for choice in choices]
    later: list[list[Place]] = [
        [(number, step, None) for number in range(len(examples))]
        for step in ("critique", "revision")
        if step in settings.steps
    ]
    return [first, *later]


def _wanted(
    run: _Run, wave: Sequence[Place], texts: Mapping[Place, TeacherText]
) -> list[tuple[Place, StepPrompt]]:
    """Return the prompts of a wave, equal prefixes together and then the shortest first."""
    wanted = []
    for place in wave:
        prompt = _prompt(run, place, texts)
        if prompt is None:
            run.tally.skipped(place[1])
        else:
            wanted.append((place, prompt))
    return sorted(wanted, key=lambda pair: (pair[1].prefix, len(pair[1].prompt)))


def _prompt(run: _Run, place: Place, texts: Mapping[Place, TeacherText]) -> StepPrompt | None:
    """Return the prompt of one text, or ``None`` when what it builds on is missing or empty."""
    number, step, choice = place
    example = run.examples[number]
    asking = run.asking[example.family]
    if step == "rationale":
        return rationale_prompt(example, asking)
    if step == "counterfactual" and choice is not None:
        return counterfactual_prompt(example, choice, asking)
    rationale = texts[number, "rationale", example.answer].text
    if step == "critique":
        return critique_prompt(example, rationale, asking) if rationale else None
    critique = texts.get((number, "critique", None))
    if critique is None or not critique.text:
        return None
    return revision_prompt(example, rationale, critique.text, asking)


def _fulfil(run: _Run, wanted: Sequence[tuple[Place, StepPrompt]]) -> dict[Place, TeacherText]:
    """Return the texts of prompts, from the store where it has them, else from the teacher."""
    keys = [run.source.key(p.prompt, p.decoding) for _, p in wanted]
    missing: dict[str, tuple[Place, StepPrompt]] = {}
    for key, pair in zip(keys, wanted, strict=True):
        if run.source.get(key) is None:
            missing.setdefault(key, pair)
    _ask(run, missing)
    texts: dict[Place, TeacherText] = {}
    for key, (place, prompt) in zip(keys, wanted, strict=True):
        row = run.source.get(key)
        if row is None:
            raise StageError(f"{run.source.name} left a prompt unanswered ({prompt.step}).")
        if missing.get(key, (None, None))[0] != place:
            run.tally.from_store(prompt.step, row)
        texts[place] = teacher_text(
            row.text,
            prompt.step,
            run.examples[place[0]],
            prompt.target,
            row.finish,
            row.prompt_tokens,
            row.completion_tokens,
        )
    run.report()
    return texts


def _ask(run: _Run, missing: Mapping[str, tuple[Place, StepPrompt]]) -> None:
    """Ask the teacher for texts and store them."""
    requests = {
        key: Request(prompt.prompt, prompt.decoding, step, run.examples[number].id)
        for key, ((number, step, _), prompt) in missing.items()
    }
    steps = {key: step for key, ((_, step, _), _) in missing.items()}
    for row in run.source.ask(requests):
        run.tally.asked(steps[row.key], row)
        run.report()


def _annotation(
    number: int, example: Example, teacher: str, texts: Mapping[Place, TeacherText]
) -> Annotation:
    found = {
        choice: texts.get((number, "counterfactual", choice)) for choice in example.wrong_choices
    }
    return Annotation(
        example=example,
        teacher=teacher,
        rationale=texts.get((number, "rationale", example.answer)),
        critique=texts.get((number, "critique", None)),
        revision=texts.get((number, "revision", None)),
        counterfactuals={choice: text for choice, text in found.items() if text is not None},
    )
