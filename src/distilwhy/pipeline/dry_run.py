"""A dry run of the stage ``generate``: what it will ask for and what that costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import TeacherSettings
from distilwhy.models.names import parse_model
from distilwhy.pipeline.beside import store_path
from distilwhy.pipeline.inputs import task_examples
from distilwhy.progress import say
from distilwhy.tasks import Split

if TYPE_CHECKING:
    from distilwhy.teaching.asking import Request
    from distilwhy.teaching.forecast import Forecast
    from distilwhy.teaching.ledger import StepTime


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
    from distilwhy.generators.open import LOCAL_KINDS, open_count
    from distilwhy.teaching.forecast import forecast as forecast_texts

    out = Path(out)
    local = parse_model(teacher.model).kind in LOCAL_KINDS
    return forecast_texts(
        task_examples(task, split, limit, seed, base, out),
        teacher,
        seed=seed,
        store_path=store_path(out),
        count=open_count(teacher.model),
        measure=partial(_measure, teacher) if local else None,
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
