"""What the Hugging Face Trainer is told."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, get_scheduler

from distilwhy.config import TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.ranks import world_size
from distilwhy.training.batches import StepSampler
from distilwhy.training.checkpoints import CHECKPOINTS, KEPT_CHECKPOINTS

LOGGED_POINTS = 40


def training_arguments(
    settings: TrainingSettings,
    sampler: StepSampler,
    dtype: torch.dtype,
    out: Path,
    evaluates: bool,
) -> TrainingArguments:
    """Return transformers' arguments for a run.

    Args:
        settings: The run's settings.
        sampler: The run's batches.
        dtype: Precision of the computation.
        out: The student's folder; checkpoints lie in it.
        evaluates: Whether there are held-out rows to choose a checkpoint by.
    """
    steps = settings.max_steps or max(1, math.ceil(sampler.steps * settings.epochs))
    every = max(1, math.ceil(steps / settings.evaluations))
    return TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        max_steps=steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=sampler.micro_batches // world_size(),
        # All weights have a part in every loss.
        ddp_find_unused_parameters=False if world_size() > 1 else None,
        bf16=dtype == torch.bfloat16,
        use_cpu=not torch.cuda.is_available(),
        seed=settings.seed,
        logging_steps=max(1, steps // LOGGED_POINTS),
        eval_strategy="steps" if evaluates else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=KEPT_CHECKPOINTS,
        load_best_model_at_end=evaluates,
        metric_for_best_model="eval_loss" if evaluates else None,
        greater_is_better=False if evaluates else None,
        report_to=list(settings.trackers) or "none",
        disable_tqdm=True,
        logging_nan_inf_filter=False,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        **_recompute(settings.gradient_checkpointing),
    )


def check_schedule(name: str) -> None:
    """Refuse a schedule that transformers does not know or cannot make from its name alone.

    Raises:
        ConfigError: When it is so.
    """
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    try:
        get_scheduler(name, optimizer, num_warmup_steps=1, num_training_steps=10)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"training.schedule {name!r} cannot be used: {str(error).splitlines()[0]}",
            "Use e.g. linear, cosine or constant_with_warmup.",
        ) from error


def _recompute(wanted: bool) -> dict[str, Any]:
    """Return the argument that trades time for memory, by the name that this version knows."""
    names = {item.name for item in dataclasses.fields(TrainingArguments)}
    new, old = "activation_checkpointing", "gradient_checkpointing"
    return {new if new in names else old: True} if wanted else {}
