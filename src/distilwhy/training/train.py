"""Training one student on annotations: the train stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.files import write_json
from distilwhy.models.fusion import compile_layers, fuse_activations
from distilwhy.models.load import LoadedModel, quiet_logs
from distilwhy.models.precision import (
    peak_model_memory_mb,
    precision_name,
    resolve_precision,
)
from distilwhy.progress import progress_bar, say
from distilwhy.ranks import rank
from distilwhy.records import TRAINING_SUMMARY, Annotation, TrainingSummary
from distilwhy.students.controls import controlled
from distilwhy.students.encode import Encoder
from distilwhy.students.load import StudentCard, load_base, save_student
from distilwhy.students.mixing import mixed
from distilwhy.training.arguments import training_arguments
from distilwhy.training.callbacks import Cost, Moved, Patience, SaveMemory, Watch, curve_of
from distilwhy.training.checkpoints import (
    checkpoint_to_resume,
    disk_errors,
    remove_checkpoints,
    require_disk,
    step_of,
    stopped_early,
)
from distilwhy.training.checks import check_training
from distilwhy.training.collapse import not_below_unigram, unigram_entropies
from distilwhy.training.data import TrainingData, encode_data, split_held_out, step_sampler
from distilwhy.training.guard import Guard
from distilwhy.training.memory import Fitted, fit_to_budget
from distilwhy.training.methods import Method, resolve_method
from distilwhy.training.processes import agreed, join, own_seed
from distilwhy.training.soft import SoftRun, prepare_soft
from distilwhy.training.trackers import ready
from distilwhy.training.trainer import ViewTrainer


def train(
    annotations: Sequence[Annotation],
    student: StudentSettings,
    condition: Condition,
    settings: TrainingSettings,
    out: Path,
    soft_labels: Path | None = None,
) -> TrainingSummary:
    """Train a student and write it to a folder; an interrupted run goes on from its checkpoint.

    Args:
        annotations: Annotated *training* examples; a seeded share is held out to choose the best
            checkpoint.
        student: The base model.
        condition: Method and data kind.
        settings: Steps, rates, limits, precision, seed.
        out: Folder to write: weights, tokenizer, card and ``training.json``.
        soft_labels: Folder of stored soft labels, which other runs can share; needed where the
            condition stores some.

    Raises:
        ConfigError: When the method or a setting does not fit the data.
        DataError: When the disk has no room for checkpoints.
        ModelError: When the base model cannot be loaded.
    """
    join(soft=condition.soft is not None, adapter=student.lora is not None)
    families = {annotation.example.family for annotation in annotations}
    check_training(student, condition, settings, families)
    method = resolve_method(condition)
    set_seed(settings.seed)
    loaded = load_base(student)
    set_seed(settings.seed)
    encoder = make_encoder(loaded, settings)
    mixture = mixed(annotations, condition, settings.seed)
    learnt = controlled(mixture.annotations, condition.control, settings.seed)
    training, held_out = split_held_out(learnt, settings.held_out, settings.seed)
    data = encode_data(training, held_out, method, condition, settings, encoder)
    fitted = fit_to_budget(loaded, encoder, data, _with_precision(settings))
    loaded, fitting = fitted.student, fitted.settings
    soft = prepare_soft(loaded, encoder, condition, method, data, training, soft_labels, settings)
    trainer, dtype = _make_trainer(loaded, method, fitting, encoder, data, out, soft)
    saves = trainer.args.save_strategy != "no"
    agreed(lambda: require_disk(loaded.model, out, saves))
    checkpoint = agreed(
        lambda: checkpoint_to_resume(out, student, condition, settings, annotations)
    )
    planned = trainer.args.max_steps
    if stopped_early(checkpoint, settings.patience):
        trainer.args.max_steps = step_of(checkpoint)
    seconds = _run(trainer, fitting, data, out, checkpoint, condition.label)
    summary = _summary(trainer, data, dtype, seconds, fitted, planned)
    summary = summary.model_copy(update={"sources": mixture.counts_of(training)})
    card = _card(student, condition, method, settings)
    whole = trainer.whole_weights()
    agreed(lambda: _write(out, trainer.model, loaded.tokenizer, card, summary, whole))
    if summary.collapsed:
        say(f"{out}: the run collapsed: {'; '.join(summary.collapsed)}.")
    return summary


def _run(
    trainer: ViewTrainer,
    settings: TrainingSettings,
    data: TrainingData,
    out: Path,
    checkpoint: str | None,
    label: str,
) -> float:
    """Train, and return how long that took, with what was done before an interruption."""
    cost = Cost(trainer, checkpoint)
    for watcher in _watchers(trainer, settings, data, out):
        trainer.add_callback(watcher)
    trainer.add_callback(cost)
    steps, before = trainer.args.max_steps, step_of(checkpoint)
    with progress_bar(f"train {label}", steps, before) as advance:
        trainer.add_callback(Watch(advance))
        if rank():
            set_seed(own_seed(settings.seed))  # dropout differs between processes
        with disk_errors(out), quiet_logs():
            if checkpoint and before >= steps:
                trainer.restore(checkpoint)
            else:
                trainer.train(resume_from_checkpoint=checkpoint)
    return cost.seconds


def _card(
    student: StudentSettings, condition: Condition, method: Method, settings: TrainingSettings
) -> StudentCard:
    return StudentCard(
        base=student.model,
        condition=condition,
        weights=method.weights,
        answer_view=method.answer_view,
        rationale_view=method.rationale_view,
        seed=settings.seed,
        max_source_tokens=settings.max_source_tokens,
        tag=settings.tag,
    )


def _with_precision(settings: TrainingSettings) -> TrainingSettings:
    """Return settings whose precision is one that all processes have, not one to be measured."""
    dtype = agreed(lambda: resolve_precision(settings.precision))
    return settings.model_copy(update={"precision": precision_name(dtype)})


def _write(
    out: Path,
    model: Any,
    tokenizer: Any,
    card: StudentCard,
    summary: TrainingSummary,
    weights: dict[str, torch.Tensor] | None,
) -> None:
    """Write a student, and remove the checkpoints that it came from."""
    with disk_errors(out):
        save_student(out, model, tokenizer, card, weights)
    write_json(out / TRAINING_SUMMARY, summary.model_dump())
    remove_checkpoints(out)


def _watchers(
    trainer: ViewTrainer, settings: TrainingSettings, data: TrainingData, out: Path
) -> Iterator[TrainerCallback]:
    """Yield what a run's settings call for."""
    yield Moved()
    # Where a curriculum changes what is trained, losses jump without any fault.
    yield Guard(trainer, data.texts, None if trainer.method.points else settings.spike, out)
    if settings.patience is not None:
        yield Patience(settings.patience)
    if settings.gradient_checkpointing:
        yield SaveMemory()


def make_encoder(loaded: LoadedModel, settings: TrainingSettings) -> Encoder:
    """Return the encoder for a student; rows are packed where the model allows it."""
    start = getattr(loaded.model.config, "decoder_start_token_id", None)
    encoder = Encoder(
        loaded.tokenizer,
        is_encoder_decoder=loaded.is_encoder_decoder,
        decoder_start=start if start is not None else loaded.tokenizer.pad_token_id,
        max_source_tokens=settings.max_source_tokens,
        max_target_tokens=settings.max_target_tokens,
    )
    encoder.pack_for(loaded.model)
    if settings.tag == "end" and not encoder.share:
        say(
            f"{loaded.name} cannot read one question for several texts, so training.tag: end makes "
            "nothing faster."
        )
    return encoder


def _make_trainer(
    loaded: LoadedModel,
    method: Method,
    settings: TrainingSettings,
    encoder: Encoder,
    data: TrainingData,
    out: Path,
    soft: SoftRun,
) -> tuple[ViewTrainer, torch.dtype]:
    dtype = resolve_precision(settings.precision)
    sampler = step_sampler(data, settings, encoder)
    if not len(sampler):
        raise ConfigError("There is no row to train on.", "Give annotations with texts.")
    fuse_activations(loaded.model)
    if settings.compile:
        compile_layers(loaded.model)
    arguments = training_arguments(settings, sampler, dtype, out, bool(data.held_out))
    trainer = ViewTrainer(
        loaded.model,
        arguments,
        method=method,
        encoder=encoder,
        rows=data.rows,
        sampler=sampler,
        held_out=data.held_out,
        soft=soft.term,
        on_policy=soft.on_policy,
    )
    ready(trainer, settings.trackers, out)
    return trainer, dtype


def _summary(
    trainer: ViewTrainer,
    data: TrainingData,
    dtype: torch.dtype,
    seconds: float,
    fitted: Fitted,
    planned: int,
) -> TrainingSummary:
    model = fitted.student.model
    best = trainer.state.best_global_step or trainer.state.global_step
    curve = curve_of(trainer.state)
    method = trainer.method
    # What was trained to the end: a curriculum's student may have left other views behind.
    last = method.weights_at(1 - 1 / planned)
    weights = dict(zip(method.weights, last, strict=True))
    entropies = unigram_entropies(data.rows, list(weights))
    judged = {view: entropy for view, entropy in entropies.items() if weights[view] > 0}
    # A soft term's loss is no cross-entropy of the tokens alone.
    hard = trainer.soft is None
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
        memory=fitted.chosen,
        curve=curve,
        stopped_early=trainer.state.global_step < planned,
        unigram_entropy=entropies,
        collapsed=not_below_unigram(curve, best, judged, weights) if hard else (),
    )
