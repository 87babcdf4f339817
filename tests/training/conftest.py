"""What tests of training share: a quick run of a tiny student."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Condition, LoraSettings, StudentSettings, TrainingSettings
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.training.train import train

QUICK = TrainingSettings(
    epochs=3,
    learning_rate=3e-3,
    batch_size=4,
    held_out=0.2,
    evaluations=4,
    precision="fp32",
)
METHOD = Condition(method="multitask+counterfactual")

Train = Callable[..., TrainingSummary]


@pytest.fixture
def fit(tiny_models: dict[str, Path], tiny_annotations: list[Annotation]) -> Train:
    """Train a tiny student: ``fit(out, model, condition, annotations, lora, **settings)``."""

    def run(
        out: Path,
        model: str = "llama",
        condition: Condition = METHOD,
        annotations: list[Annotation] | None = None,
        lora: LoraSettings | None = None,
        **changes: Any,
    ) -> TrainingSummary:
        student = StudentSettings(model=f"hf:{tiny_models[model]}", lora=lora)
        settings = QUICK.model_copy(update=changes)
        return train(annotations or tiny_annotations, student, condition, settings, out)

    return run
