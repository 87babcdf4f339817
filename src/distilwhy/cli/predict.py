"""``distilwhy predict``: a student's answers and reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import (
    Json,
    Limit,
    Seed,
    Source,
    TaskName,
    set_options,
    settings_of,
    show,
    task_of,
)


def predict(
    student: Annotated[Path, typer.Option(help="Folder of a trained student.")],
    task: TaskName,
    out: Annotated[Path, typer.Option(help="Predictions file to write.")],
    source: Source = None,
    split: Annotated[str, typer.Option(help="Split: train, validation or test.")] = "test",
    limit: Limit = None,
    seed: Seed = 0,
    batch_size: Annotated[int | None, typer.Option(help="Questions at once.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Token limit of one text.")] = None,
    precision: Annotated[str | None, typer.Option(help="Precision: auto, fp32 or bf16.")] = None,
    rationales: Annotated[bool, typer.Option(help="Also write rationales.")] = True,
    swap_tags: Annotated[
        bool, typer.Option("--swap-tags", help="A control: ask by the other view's tag.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask a trained student a task's questions."""
    from distilwhy.config import PredictionSettings
    from distilwhy.pipeline import beside, stages
    from distilwhy.tasks.base import checked_split

    chosen = set_options(
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        precision=precision,
        rationales=rationales,
        tags="swapped" if swap_tags else None,
    )
    predictions = stages.predict(
        student,
        task_of(task, source, split),
        out,
        split=checked_split(split),
        limit=limit,
        seed=seed,
        settings=settings_of(PredictionSettings, chosen, "predict"),
    )
    costs = beside.read_costs(out).prediction
    unparsed = sum(prediction.answer is None for prediction in predictions)
    result = {
        "out": str(out),
        "n": len(predictions),
        "unparsed": unparsed,
        **(costs.model_dump(mode="json") if costs else {}),
    }
    show(result, as_json, f"{out}: {len(predictions)} predictions, {unparsed} unparsed.")
