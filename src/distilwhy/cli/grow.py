"""``distilwhy grow``: a teacher writes the examples of a task that has none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distilwhy.cli import teacher_options as options
from distilwhy.cli.shared import Json, Seed, settings_of, show

if TYPE_CHECKING:
    from distilwhy.growing.report import GrowthReport

Description = Annotated[
    str, typer.Option(help="What the questions are like: a text, or a text file.")
]
Teacher = Annotated[str, typer.Option(help="Teacher, e.g. embedded, hf:NAME, openai:NAME.")]
Out = Annotated[Path, typer.Option(help="Folder to write the task to.")]
Seeds = Annotated[Path | None, typer.Option(help="Seed examples, about 20: a table, e.g. JSONL.")]
Task = Annotated[
    str | None,
    typer.Option(help="The task that they are for: gives family, labels and the test split."),
]
Against = Annotated[
    list[Path] | None, typer.Option(help="Examples that no new question may repeat.")
]
Wanted = Annotated[int | None, typer.Option(help="Training examples wanted (100).")]
Validation = Annotated[int | None, typer.Option(help="Validation examples wanted besides (0).")]
Test = Annotated[
    int | None, typer.Option(help="Test examples wanted besides, where --task gives none (0).")
]
Requests = Annotated[
    int | None, typer.Option(help="Questions asked for at most (10 for each wanted).")
]
Samples = Annotated[int | None, typer.Option(help="Times the teacher answers each question (5).")]
Agreement = Annotated[
    float | None, typer.Option(help="Share of these that must be the answer proposed (0.6).")
]
Similarity = Annotated[
    float | None, typer.Option(help="Questions so similar are near-duplicates (0.65).")
]
Shots = Annotated[int | None, typer.Option(help="Seed examples in each prompt (8).")]
Temperature = Annotated[float | None, typer.Option(help="Temperature of written questions (0.7).")]
MaxNewTokens = Annotated[int | None, typer.Option(help="Token limit of one question (160).")]


def grow(
    context: typer.Context,
    description: Description,
    teacher: Teacher,
    out: Out,
    seeds: Seeds = None,
    task: Task = None,
    against: Against = None,
    n: Wanted = None,
    validation: Validation = None,
    test: Test = None,
    requests: Requests = None,
    samples: Samples = None,
    agreement: Agreement = None,
    similarity: Similarity = None,
    shots: Shots = None,
    temperature: Temperature = None,
    max_new_tokens: MaxNewTokens = None,
    batch_size: options.BatchSize = None,
    precision: options.Precision = None,
    concurrency: options.Concurrency = None,
    timeout: options.Timeout = None,
    api_key_file: options.ApiKeyFile = None,
    engine: options.Engine = None,
    ray_workers: options.RayWorkers = None,
    ray_cpus: options.RayCpus = None,
    ray_gpus: options.RayGpus = None,
    ray_address: options.RayAddress = None,
    chat: options.Chat = False,
    budget_usd: options.BudgetUsd = None,
    budget_tokens: options.BudgetTokens = None,
    budget_hours: options.BudgetHours = None,
    price_prompt: options.PricePrompt = None,
    price_completion: options.PriceCompletion = None,
    price_cached_prompt: options.PriceCachedPrompt = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Have a teacher write a task's questions from a description and examples; resumable."""
    from distilwhy.growing.settings import GrowingSettings
    from distilwhy.pipeline.grow import grow as grow_task

    values = options.teacher_values(context.params, GrowingSettings)
    settings = settings_of(GrowingSettings, {"model": teacher, **values}, "grow")
    report = grow_task(
        description, out, teacher=settings, seeds=seeds, task=task, against=against or (), seed=seed
    )
    _show(report, out, as_json)


def _show(report: GrowthReport, out: Path, as_json: bool) -> None:
    from distilwhy.pipeline.grow import TASK_FILE

    task = out / TASK_FILE
    lines = [f"{task}: {report.kept} of {report.wanted} examples.", "", report.table()]
    if not report.whole:
        lines += ["", f"All {report.requested} requests were made; allow more with --requests."]
    show({"task": str(task), **report.model_dump(mode="json")}, as_json, "\n".join(lines))
