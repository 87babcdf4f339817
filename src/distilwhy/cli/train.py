"""``distilwhy train``: one student from an annotations file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distilwhy.cli.shared import Json, set_options, settings_of, show, yaml_fields

if TYPE_CHECKING:
    from distilwhy.records import TrainingSummary

ConditionFile = Annotated[
    Path | None,
    typer.Option(help="YAML file with a condition's fields, which options beside it change."),
]
TrainingFile = Annotated[
    Path | None,
    typer.Option(help="YAML file with training settings, which options beside it change."),
]
Control = Annotated[
    str | None,
    typer.Option(help="Spoil explanations: shuffled, empty or function_words."),
]
CounterfactualForm = Annotated[
    str | None, typer.Option(help="Wrong rationale in the input or in the decoder (SCOTT).")
]
WrongChoices = Annotated[str | None, typer.Option(help="Wrong choices a question: one or all.")]
LoraBits = Annotated[
    int | None, typer.Option(help="Hold the base model in 4 bits meanwhile (QLoRA).")
]
Layers = Annotated[
    str | None, typer.Option(help="Layers kept: every_second, or numbers as in 0,2,4.")
]
SoftFile = Annotated[
    Path | None, typer.Option(help="Soft labels: a YAML file of the fields of 'soft'.")
]
Tag = Annotated[str | None, typer.Option(help="Where tags stand: front, or end, which is faster.")]
Method = Annotated[str | None, typer.Option(help="Training method; multitask when unset.")]


def train(
    annotations: Annotated[Path, typer.Option(help="Annotations file, training examples only.")],
    student: Annotated[str, typer.Option(help="Base model, e.g. hf:NAME, a folder, embedded.")],
    out: Annotated[Path, typer.Option(help="Folder to write the student to.")],
    condition: ConditionFile = None,
    method: Method = None,
    data: Annotated[str | None, typer.Option(help="Learn from unrevised or revised.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of predict, 0 to 1.")] = None,
    beta: Annotated[float | None, typer.Option(help="Weight of factual, 0 to 1.")] = None,
    gamma: Annotated[float | None, typer.Option(help="Weight of multitask, 0 to 1.")] = None,
    control: Control = None,
    counterfactual_form: CounterfactualForm = None,
    wrong_choices: WrongChoices = None,
    training: TrainingFile = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the examples.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after so many steps.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples a step.")] = None,
    micro_batches: Annotated[int | None, typer.Option(help="Forward passes a step.")] = None,
    memory_budget: Annotated[float | None, typer.Option(help="GiB that training may take.")] = None,
    held_out: Annotated[float | None, typer.Option(help="Share held out.")] = None,
    evaluations: Annotated[int | None, typer.Option(help="Held-out evaluations.")] = None,
    precision: Annotated[str | None, typer.Option(help="Precision: auto, fp32 or bf16.")] = None,
    tag: Tag = None,
    lora_rank: Annotated[int | None, typer.Option(help="Train adapters of this rank.")] = None,
    lora_bits: LoraBits = None,
    layers: Layers = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    soft: SoftFile = None,
    as_json: Json = False,
) -> None:
    """Train a student; a stopped run goes on from its last checkpoint."""
    from distilwhy.config import Condition, SoftSettings, StudentSettings, TrainingSettings
    from distilwhy.pipeline import stages

    chosen = set_options(
        method=method,
        data=data,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        control=control,
        counterfactual_form=counterfactual_form,
        wrong_choices=wrong_choices,
        soft=None if soft is None else yaml_fields(SoftSettings, soft),
    )
    given = yaml_fields(TrainingSettings, training) | set_options(
        epochs=epochs,
        max_steps=max_steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        micro_batches=micro_batches,
        memory_budget=memory_budget,
        held_out=held_out,
        evaluations=evaluations,
        precision=precision,
        tag=tag,
        seed=seed,
    )
    lora = set_options(rank=lora_rank, bits=lora_bits)
    base = set_options(model=student, lora=lora or None, layers=_layers(layers))
    summary = stages.train(
        annotations,
        out,
        student=settings_of(StudentSettings, base, "train"),
        condition=settings_of(Condition, {**yaml_fields(Condition, condition), **chosen}, "train"),
        settings=settings_of(TrainingSettings, given, "train"),
    )
    show(summary, as_json, _told(summary, out))


def _told(summary: TrainingSummary, out: Path) -> str:
    return (
        f"{out}: {summary.steps} steps on {summary.examples} examples in {summary.seconds:.0f} s "
        f"({summary.tokens_per_second:.0f} tokens/s, {summary.precision}, "
        f"{summary.peak_memory_mb / 1024:.1f} GiB); kept step {summary.best_step}."
    )


def _layers(text: str | None) -> str | list[str] | None:
    """Return layers as settings take them: a name, or the numbers between commas."""
    if text is None or not text[:1].isdigit():
        return text
    return [part.strip() for part in text.split(",")]
