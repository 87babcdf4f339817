"""``distilwhy generate``: a teacher annotates a task's examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distilwhy.cli import teacher_options as options
from distilwhy.cli.forecast import show_forecast
from distilwhy.cli.shared import (
    Json,
    Limit,
    Seed,
    Source,
    TaskName,
    settings_of,
    show,
    task_of,
)


def generate(
    context: typer.Context,
    task: TaskName,
    teacher: Annotated[str, typer.Option(help="Teacher, e.g. embedded, hf:NAME, openai:NAME.")],
    out: Annotated[Path, typer.Option(help="Annotations file to write.")],
    source: Source = None,
    split: Annotated[str, typer.Option(help="Split: train, validation or test.")] = "train",
    limit: Limit = None,
    shots: options.Shots = None,
    steps: options.Steps = None,
    counterfactuals: options.Counterfactuals = None,
    adjective_pairs: options.AdjectivePairs = None,
    labels: options.Labels = None,
    rationales_from: options.RationalesFrom = None,
    critique_rounds: options.CritiqueRounds = None,
    samples: options.Samples = None,
    selection: options.Selection = None,
    temperature: options.Temperature = None,
    contrast_weight: options.ContrastWeight = None,
    contrast_against: options.ContrastAgainst = None,
    max_new_tokens: options.MaxNewTokens = None,
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
    prompts: options.Prompts = None,
    budget_usd: options.BudgetUsd = None,
    budget_tokens: options.BudgetTokens = None,
    budget_hours: options.BudgetHours = None,
    price_prompt: options.PricePrompt = None,
    price_completion: options.PriceCompletion = None,
    price_cached_prompt: options.PriceCachedPrompt = None,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be asked and what it costs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have a teacher explain, critique, revise and argue for wrong choices; resumable."""
    from distilwhy.config import TeacherSettings
    from distilwhy.pipeline import beside, stages
    from distilwhy.pipeline.dry_run import forecast
    from distilwhy.tasks.base import checked_split
    from distilwhy.teaching.gates import count_flags

    values = options.teacher_values(context.params, TeacherSettings)
    settings = settings_of(TeacherSettings, {"model": teacher, **values}, "generate")
    chosen = (task_of(task, source, split), settings, out)
    which: dict[str, Any] = {"split": checked_split(split), "limit": limit, "seed": seed}
    if dry_run:
        show_forecast(forecast(*chosen, **which), settings.budget, as_json)
        return
    annotations = stages.generate(*chosen, **which)
    cost, outcome = beside.read_cost(out), beside.read_outcome(out)
    result = {
        "out": str(out),
        "n": len(annotations),
        "gates": {step: counts.model_dump() for step, counts in count_flags(annotations).items()},
        "cost": cost.model_dump(mode="json") if cost else None,
        "outcome": outcome.model_dump(mode="json", exclude_none=True) if outcome else None,
    }
    show(result, as_json, f"{out}: {len(annotations)} examples annotated.")
