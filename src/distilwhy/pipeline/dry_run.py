"""A dry run: what the stage ``generate`` or an experiment will ask for, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import TeacherSettings
from distilwhy.models.names import parse_model
from distilwhy.pipeline.beside import store_path
from distilwhy.pipeline.experiment import experiment_run
from distilwhy.pipeline.inputs import task_examples
from distilwhy.progress import say
from distilwhy.records import Example
from distilwhy.tasks import Split

if TYPE_CHECKING:
    from distilwhy.teaching.asking import Request, TextSource
    from distilwhy.teaching.forecast import Forecast
    from distilwhy.teaching.ledger import StepTime

TEST_ANSWER = "answer (test)"
"""How a forecast names the teacher's own answers to the test questions."""


def forecast(
    task: str | Mapping[str, Any],
    teacher: TeacherSettings,
    out: str | Path,
    *,
    split: Split = "train",
    limit: int | None = None,
    seed: int = 0,
    base: Path | None = None,
) -> Forecast:
    """Say what :func:`distilwhy.pipeline.stages.generate` would ask for now, without asking.

    Only a model on this machine is asked for a few texts, to take the time, where its store tells
    none; they are not kept.

    Args: as of :func:`distilwhy.pipeline.stages.generate`.

    Raises:
        UserError: When the task, the teacher or the settings cannot be used.
    """
    from distilwhy.generators.open import LOCAL_KINDS, SERVER_KINDS, open_count
    from distilwhy.teaching.asking import no_contrast
    from distilwhy.teaching.forecast import forecast as forecast_texts

    out = Path(out)
    kind = parse_model(teacher.model).kind
    if teacher.contrast is not None and kind in SERVER_KINDS:
        raise no_contrast(teacher.model)
    return forecast_texts(
        task_examples(task, split, limit, seed, base, out),
        teacher,
        seed=seed,
        store_path=store_path(out),
        count=open_count(teacher.model),
        measure=partial(_measure, teacher) if kind in LOCAL_KINDS else None,
    )


def forecast_run(experiment: Path, out: Path | None = None) -> Forecast | None:
    """Say what :func:`distilwhy.pipeline.experiment.run` would ask the teacher, without asking.

    The experiment is checked as a real run checks it.

    Args:
        experiment: The experiment's YAML file.
        out: Folder of all outputs; ``runs/<file>`` when unset.

    Returns:
        The forecast, the teacher's own answers to the test questions included; ``None`` where no
        teacher is asked.

    Raises:
        UserError: When the file, the task, a model or a setting cannot be used.
    """
    run = experiment_run(experiment, out)
    run.check()
    settings, base = run.experiment, run.base
    if settings.teacher is None:
        return None
    parts = []
    if settings.annotations is None:
        which: dict[str, Any] = {"limit": settings.limits.train, "seed": settings.seed}
        parts.append(forecast(settings.task, run.teacher_settings, run.drafts, base=base, **which))
    if run.asks_teacher:
        parts.append(
            _answers(run.teacher_settings, run.test, run.teacher_predictions, settings.seed)
        )
    return _together(parts)


def _answers(
    teacher: TeacherSettings, examples: Sequence[Example], out: Path, seed: int
) -> Forecast:
    """Say what the stage ``ask`` would ask for: one greedy answer to each question."""
    from distilwhy.generators.open import open_count
    from distilwhy.inference.predict import answer_prompts
    from distilwhy.teaching.cost import CostTally, TeachingCost
    from distilwhy.teaching.forecast import forecast as forecast_texts
    from distilwhy.teaching.waves import TeachingRun, Wanted

    greedy = teacher.model_copy(update={"samples": 1, "temperature": 0.0})

    def ask(source: TextSource, sampled: Sequence[Example]) -> TeachingCost:
        run = TeachingRun(source, greedy, seed, CostTally(), len(sampled))
        prompts = answer_prompts(sampled, teacher, seed)
        run.samples([Wanted(*pair) for pair in zip(sampled, prompts, strict=True)])
        return run.tally.cost()

    told = forecast_texts(
        examples,
        teacher,
        seed=seed,
        store_path=store_path(out),
        count=open_count(teacher.model),
        ask=ask,
    )
    return told.model_copy(update={"steps": {TEST_ANSWER: told.steps["answer"]}})


def _together(parts: Sequence[Forecast]) -> Forecast | None:
    """Return forecasts as one; the prompts shown and the notes are the first one's."""
    if len(parts) < 2:
        return parts[0] if parts else None
    first, second = parts
    usd = None if first.spent_usd is None else first.spent_usd + (second.spent_usd or 0.0)
    also = f"{TEST_ANSWER}: the teacher's own answers to {second.examples:,} test questions."
    return first.model_copy(
        update={
            "steps": {**first.steps, **second.steps},
            "spent_tokens": first.spent_tokens + second.spent_tokens,
            "spent_usd": usd,
            "spent_hours": first.spent_hours + second.spent_hours,
            "notes": (*first.notes, also),
        }
    )


def _measure(teacher: TeacherSettings, requests: Sequence[Request]) -> StepTime:
    """Take the time of some texts of a model on this machine, loading it not counted."""
    from distilwhy.generators.open import open_generator
    from distilwhy.teaching.ledger import StepTime

    say(f"Loading the teacher {teacher.model} to take the time of {len(requests)} texts.")
    generator = open_generator(teacher.model, teacher)
    start = time.monotonic()
    texts = list(generator.generate([r.prompt for r in requests], requests[0].decoding))
    return StepTime(texts=len(texts), seconds=time.monotonic() - start)
