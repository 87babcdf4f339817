"""How students are trained: base models, methods, training; part of the experiment file."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from distilwhy.config.base import Precision, Settings
from distilwhy.config.curriculum import Curriculum, check_weights
from distilwhy.config.size import LayerSettings, LoraSettings
from distilwhy.config.soft import SoftSettings
from distilwhy.records import Control, DataKind, TagPlace

LARGEST_SEED = 2**32 - 1  # numpy takes no larger one


class StudentSettings(Settings):
    """One student model."""

    model: str = Field(description="Model string, e.g. hf:google/t5-v1_1-base.")
    lora: LoraSettings | None = Field(None, description="Train adapters instead of all weights.")
    layers: LayerSettings | None = Field(
        None, description="Keep only some of the model's layers; all when unset."
    )
    name: str | None = Field(None, description="Short name in tables; the model's own when unset.")

    @property
    def label(self) -> str:
        """The student's short name in tables and folder names."""
        model = self.model.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        return self.name or (f"{model}, {self.layers.label}" if self.layers else model)

    @field_validator("layers", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return (
            value if value is None or isinstance(value, dict | LayerSettings) else {"keep": value}
        )


class MethodSettings(Settings):
    """A training method and its weights (paper, section on student training)."""

    method: str = Field("multitask", description="Name of a method.")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of predict against explain.")
    beta: float = Field(0.5, ge=0, le=1, description="Weight of factual against counterfactual.")
    gamma: float = Field(0.5, ge=0, le=1, description="Weight of multitask against counterfactual.")
    views: dict[str, float] | None = Field(
        None, description="Weights of views by name, for a method of your own."
    )
    curriculum: Curriculum | None = Field(
        None, description="Weights of views over the run; the method's own throughout when unset."
    )
    counterfactual_form: Literal["input", "decoder"] = Field(
        "input",
        description="Where the wrong rationale stands: in the input (the paper), or in the "
        "target, masked from the loss (SCOTT).",
    )
    wrong_choices: Literal["one", "all"] = Field(
        "one", description="Wrong choices a question in training: one drawn by seed, or all."
    )

    @field_validator("views")
    @classmethod
    def _check_views(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        check_weights(value)
        return value


class Condition(MethodSettings):
    """A method on a kind of data."""

    data: DataKind = Field("unrevised", description="Learn from rationales or from revisions.")
    learn_from: dict[str, float] | None = Field(
        None,
        description="Shares of the sources of explanations, e.g. {teacher: 0.5, human: 0.5}; the "
        "teacher's alone when unset.",
    )
    mixing: Literal["one", "all"] = Field(
        "one",
        description="Of an example that several sources explain, learn one's explanation, drawn by "
        "share and seed, or those of all.",
    )
    control: Control | None = Field(
        None,
        description="Learn from spoiled explanations, to see whether the reasons help: those of "
        "another question (shuffled), empty ones, or without content words (function_words).",
    )
    soft: SoftSettings | None = Field(
        None, description="Learn from a local teacher's distributions too (docs/training.md)."
    )
    name: str | None = Field(
        None, min_length=1, description="Name in tables; needed where two differ in weights only."
    )

    @field_validator("learn_from")
    @classmethod
    def _check_shares(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        check_weights(value, "shares")
        return value

    @model_validator(mode="after")
    def _check_mixing(self) -> Self:
        if self.mixing == "all" and self.learn_from is None:
            raise ValueError("mixing needs learn_from, which names the sources that are mixed")
        return self

    @property
    def label(self) -> str:
        """The condition's name in tables, e.g. ``multitask : unrevised``."""
        soft = f" + {self.soft.loss}" if self.soft else ""
        control = f", control {self.control.replace('_', ' ')}" if self.control else ""
        mixed = f" from {'+'.join(self.learn_from)}" if self.learn_from else ""
        mixed += " (all)" if mixed and self.mixing == "all" else ""
        curriculum = ", curriculum" if self.curriculum else ""
        return self.name or f"{self.method} : {self.data}{mixed}{soft}{curriculum}{control}"


NO_WEIGHT_CHANGES = {"spike", "trackers"}
"""Settings of training that change no weight, so that changing them does no work again."""


class TrainingSettings(Settings):
    """How a student is trained."""

    epochs: float = Field(2.0, gt=0, description="Passes over the training examples.")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many steps instead.")
    learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate of AdamW.")
    schedule: str = Field("linear", description="Learning-rate schedule of transformers.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of steps that warm up.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay.")
    batch_size: int = Field(8, ge=1, description="Examples a step; each brings all its views.")
    micro_batches: int | None = Field(
        None,
        ge=1,
        description="Forward passes that a step is cut into, rows sorted by length; unset, as many "
        "as keep a pass at about 1,024 tokens, or 16,384 on a GPU.",
    )
    tag: TagPlace = Field(
        "front",
        description="Where a view's tag stands: before the question (the paper), or at its end, so "
        "that all views of an example share one encoding of it: faster (docs/training.md).",
    )
    max_source_tokens: int = Field(300, ge=8, description="Inputs are cut at so many tokens.")
    max_target_tokens: int = Field(200, ge=2, description="Targets are cut at so many tokens.")
    held_out: float = Field(
        0.1, ge=0, lt=1, description="Share of training examples held out to choose a checkpoint."
    )
    evaluations: int = Field(4, ge=1, description="Held-out evaluations over the run.")
    precision: Precision = Field("auto", description="bf16 where the machine does it well.")
    memory_budget: float | None = Field(
        None,
        gt=0,
        description="GiB that training may take; passes, recomputed activations and, where only "
        "they fit, adapters are chosen by it.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Trade time for memory: recompute activations."
    )
    compile: bool = Field(
        False, description="Compile the layers: a minute at the start, faster steps after it."
    )
    seed: int = Field(0, ge=0, description="Seed of everything random in training.")
    patience: int | None = Field(
        None, ge=1, description="Stop after so many held-out evaluations in a row without a better."
    )
    spike: float | None = Field(
        3.0,
        gt=1,
        description="Stop where a step's loss is above so many times the median of the last 50 "
        "steps' and that of the first 10; null never does, nor does a run with a curriculum.",
    )
    trackers: tuple[str, ...] = Field(
        (), description="Who is told of losses: tensorboard, wandb, mlflow, trackio."
    )

    @field_validator("seed")
    @classmethod
    def _check_seed(cls, value: int) -> int:
        check_seeds((value,))
        return value


def check_seeds(seeds: tuple[int, ...]) -> None:
    """Refuse seeds that a library could not take."""
    if any(not 0 <= seed <= LARGEST_SEED for seed in seeds):
        raise ValueError(f"a seed must be from 0 to {LARGEST_SEED}")
