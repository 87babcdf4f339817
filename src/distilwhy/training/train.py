"""Training one student on annotations: the train stage."""

from __future__ import annotations

import dataclasses
import math
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, get_scheduler, set_seed

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import ConfigError, DataError
from distilwhy.files import write_json
from distilwhy.models.load import LoadedModel, quiet_logs
from distilwhy.models.packing import can_pack
from distilwhy.models.precision import (
    peak_model_memory_mb,
    precision_name,
    resolve_precision,
)
from distilwhy.progress import progress_bar, say
from distilwhy.records import TRAINING_SUMMARY, Annotation, TrainingSummary
from distilwhy.students.encode import EncodedRow, Encoder
from distilwhy.students.load import StudentCard, load_base, save_student
from distilwhy.students.views import ViewOptions, make_rows
from distilwhy.training.batches import StepSampler, flatten
from distilwhy.training.callbacks import Cost, SaveMemory, Watch, curve_of
from distilwhy.training.checkpoints import (
    CHECKPOINTS,
    KEPT_CHECKPOINTS,
    checkpoint_to_resume,
    disk_errors,
    require_disk,
    step_of,
)
from distilwhy.training.methods import Method, resolve_method
from distilwhy.training.trainer import ViewTrainer

LOGGED_POINTS = 40


def train(
    annotations: Sequence[Annotation],
    student: StudentSettings,
    condition: Condition,
    settings: TrainingSettings,
    out: Path,
) -> TrainingSummary:
    """Train a student and write it to a folder; an interrupted run goes on from its checkpoint.

    Args:
        annotations: Annotated *training* examples; a seeded share is held out to choose the best
            checkpoint.
        student: The base model.
        condition: Method and data kind.
        settings: Steps, rates, limits, precision, seed.
        out: Folder to write: weights, tokenizer, card and ``training.json``.

    Raises:
        ConfigError: When the method or a setting does not fit the data.
        DataError: When the disk has no room for checkpoints.
        ModelError: When the base model cannot be loaded.
    """
    method = resolve_method(condition)
    set_seed(settings.seed)
    loaded = load_base(student)
    set_seed(settings.seed)
    encoder = make_encoder(loaded, settings)
    training, held_out = split_held_out(annotations, settings.held_out, settings.seed)
    data = _encode(training, held_out, method, condition, settings, encoder)
    trainer, dtype = _make_trainer(loaded, method, settings, encoder, data, out)
    require_disk(loaded.model, out, trainer.args.save_strategy != "no")
    checkpoint = checkpoint_to_resume(out, (student, condition, settings), annotations)
    cost = Cost(trainer, checkpoint)
    trainer.add_callback(cost)
    if settings.gradient_checkpointing:
        trainer.add_callback(SaveMemory())
    steps, before = trainer.args.max_steps, step_of(checkpoint)
    with progress_bar(f"train {condition.label}", steps, before) as advance:
        trainer.add_callback(Watch(advance))
        with disk_errors(out), quiet_logs():
            trainer.train(resume_from_checkpoint=checkpoint)
    summary = _summary(trainer, data, dtype, cost.seconds, loaded.model)
    with disk_errors(out):
        card = StudentCard(
            base=student.model,
            condition=condition,
            weights=method.weights,
            answer_view=method.answer_view,
            rationale_view=method.rationale_view,
            seed=settings.seed,
            max_source_tokens=settings.max_source_tokens,
        )
        save_student(out, trainer.model, loaded.tokenizer, card)
    write_json(out / TRAINING_SUMMARY, summary.model_dump())
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return summary


def make_encoder(loaded: LoadedModel, settings: TrainingSettings) -> Encoder:
    """Return the encoder for a student; decoder-only rows are packed where the model allows it."""
    start = getattr(loaded.model.config, "decoder_start_token_id", None)
    encoder = Encoder(
        loaded.tokenizer,
        is_encoder_decoder=loaded.is_encoder_decoder,
        decoder_start=start if start is not None else loaded.tokenizer.pad_token_id,
        max_source_tokens=settings.max_source_tokens,
        max_target_tokens=settings.max_target_tokens,
        pack=True,
    )
    encoder.pack = encoder.pack and can_pack(loaded.model)
    return encoder


def split_held_out(
    annotations: Sequence[Annotation], share: float, seed: int
) -> tuple[list[Annotation], list[Annotation]]:
    """Split off a seeded share of the training examples, both parts in file order.

    Args:
        annotations: All training examples.
        share: Share to hold out, in [0, 1); at least one example when it is above 0.
        seed: Seed of the draw.

    Raises:
        ConfigError: When nothing is left to train on.
    """
    count = math.ceil(len(annotations) * share)
    if len(annotations) - count < 1:
        raise ConfigError(
            f"Of {len(annotations)} examples, {count} held out leave none to train on.",
            "Give more examples or a smaller training.held_out.",
        )
    chosen = set(random.Random(f"{seed} held out").sample(range(len(annotations)), count))  # noqa: S311
    kept = [a for place, a in enumerate(annotations) if place not in chosen]
    return kept, [annotations[place] for place in sorted(chosen)]


@dataclass(frozen=True)
class _Data:
    """Encoded rows of the training and the held-out examples."""

    rows: list[EncodedRow]
    groups: list[list[int]]
    held_out: list[EncodedRow]
    examples: int
    held_out_examples: int


def _encode(
    training: Sequence[Annotation],
    held_out: Sequence[Annotation],
    method: Method,
    condition: Condition,
    settings: TrainingSettings,
    encoder: Encoder,
) -> _Data:
    unlabelled = [a.example.id for a in (*training, *held_out) if a.example.answer is None]
    if unlabelled:
        raise DataError(
            f"{len(unlabelled)} examples have no right answer, e.g. {unlabelled[0]!r}.",
            "Give annotations of labelled examples.",
        )
    options = ViewOptions(
        data=condition.data,
        counterfactual_form=condition.counterfactual_form,
        wrong_choices=condition.wrong_choices,
        seed=settings.seed,
    )
    number = {view: place for place, view in enumerate(method.weights)}
    # One call for both parts: a small held-out part may lack a view that the whole has.
    grouped = make_rows([*training, *held_out], list(number), options)
    encoded = [[encoder.encode(row, number[row.view]) for row in rows] for rows in grouped]
    rows, groups = flatten(encoded[: len(training)])
    cut = sum(row.cut for example in encoded for row in example)
    if cut:
        say(
            f"{cut} of {sum(map(len, encoded))} rows are longer than the limits "
            f"({settings.max_source_tokens} source, {settings.max_target_tokens} target tokens) "
            "and were cut."
        )
    return _Data(rows, groups, flatten(encoded[len(training) :])[0], len(training), len(held_out))


def _make_trainer(
    loaded: LoadedModel,
    method: Method,
    settings: TrainingSettings,
    encoder: Encoder,
    data: _Data,
    out: Path,
) -> tuple[ViewTrainer, torch.dtype]:
    _check_schedule(settings.schedule)
    dtype = resolve_precision(settings.precision)
    sampler = StepSampler(
        data.groups,
        [row.tokens for row in data.rows],
        batch_size=settings.batch_size,
        micro_batches=settings.micro_batches,
        seed=settings.seed,
    )
    if not len(sampler):
        raise ConfigError("There is no row to train on.", "Give annotations with texts.")
    steps = settings.max_steps or max(1, math.ceil(sampler.steps * settings.epochs))
    every = max(1, math.ceil(steps / settings.evaluations))
    evaluates = bool(data.held_out)
    arguments = TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        max_steps=steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=sampler.micro_batches,
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
    try:
        trainer = ViewTrainer(
            loaded.model,
            arguments,
            method=method,
            encoder=encoder,
            rows=data.rows,
            sampler=sampler,
            held_out=data.held_out,
        )
    except (ValueError, RuntimeError, ImportError) as error:
        if not settings.trackers:
            raise
        raise ConfigError(
            f"training.trackers cannot be used: {str(error).splitlines()[0]}",
            "Mend the name or install the tracker's package.",
        ) from error
    return trainer, dtype


def _check_schedule(name: str) -> None:
    """Refuse a schedule that transformers does not know or cannot make from its name alone."""
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


def _summary(
    trainer: ViewTrainer, data: _Data, dtype: torch.dtype, seconds: float, model: Any
) -> TrainingSummary:
    best = trainer.state.best_global_step or trainer.state.global_step
    return TrainingSummary(
        examples=data.examples,
        held_out=data.held_out_examples,
        rows=len(data.rows),
        steps=trainer.state.global_step,
        best_step=best,
        seconds=seconds,
        tokens=trainer.tokens,
        tokens_per_second=trainer.tokens / max(seconds, 1e-9),
        padding_share=1 - trainer.tokens / max(trainer.positions, 1),
        peak_memory_mb=peak_model_memory_mb(),
        precision=precision_name(dtype),
        parameters=sum(p.numel() for p in model.parameters()),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        curve=curve_of(trainer.state),
    )
