"""Weights that change over a run: against numpy's interpolation and plain forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from distilwhy.config import (
    Condition,
    Curriculum,
    MethodSettings,
    StudentSettings,
    TrainingSettings,
)
from distilwhy.errors import ConfigError
from distilwhy.models.load import load_model
from distilwhy.records import Annotation
from distilwhy.students.encode import Encoder
from distilwhy.students.load import read_card
from distilwhy.students.views import Row, ViewOptions, make_rows
from distilwhy.training.batches import Bundle, StepSampler
from distilwhy.training.methods import resolve_method
from distilwhy.training.train import train

FIRST_EXPLAIN = [{"at": 0, "views": {"explain": 1}}, {"at": 0.5, "views": {"predict": 1}}]
STEPS = 8
SETTINGS = TrainingSettings(
    max_steps=STEPS,
    batch_size=4,
    # So small that the model stays what it was, and every step's loss can be told beforehand.
    learning_rate=1e-30,
    held_out=0.25,
    evaluations=4,
    precision="fp32",
)


def condition(curriculum: Any, **fields: Any) -> Condition:
    return Condition.model_validate({"curriculum": curriculum, **fields})


def test_weights_over_a_run() -> None:
    points = [
        {"at": 0, "views": {"explain": 2, "factual": 0.5}},
        {"at": 0.25, "views": {"explain": 1, "predict": 0.5}},
        {"at": 0.7},
    ]
    steps = resolve_method(condition(points, alpha=0.25))
    linear = resolve_method(condition({"points": points, "change": "linear"}, alpha=0.25))
    assert list(steps.weights) == ["predict", "explain", "factual"]
    assert steps.weights == {"predict": 0.25, "explain": 0.75, "factual": 0}
    places = [0, 0.25, 0.7]
    values = {"predict": [0, 0.5, 0.25], "explain": [2, 1, 0.75], "factual": [0.5, 0, 0]}
    for share in np.linspace(0, 1, 41)[:-1]:
        last = np.searchsorted(places, share, side="right") - 1
        kept = [values[view][last] for view in steps.weights]
        assert steps.weights_at(share) == kept
        between = [np.interp(share, places, values[view]) for view in linear.weights]
        assert linear.weights_at(share) == pytest.approx(between)


def test_what_a_student_is_asked_by() -> None:
    """The method's own weights tell; a view trained for a time can still be asked for reasons."""
    answers = resolve_method(condition(FIRST_EXPLAIN, views={"predict": 1}))
    assert answers.weights == {"predict": 1, "explain": 0}
    assert (answers.answer_view, answers.rationale_view) == ("predict", "explain")
    points = [{"at": 0, "views": {"predict": 1}}, {"at": 0.5, "views": {"factual": 1}}]
    reasons = resolve_method(condition(points, method="rationale_then_answer"))
    assert (reasons.answer_view, reasons.rationale_view) == ("factual", "factual")


def plain_loss(loaded: Any, encoder: Encoder, row: Row) -> tuple[float, int]:
    """Return the summed token loss of one row, in a forward pass of its own, and its targets."""
    found = encoder.encode(row, 0)
    ids = torch.tensor([[*found.source, *found.target]])
    with torch.no_grad():
        logits = loaded.model(input_ids=ids).logits[0, len(found.source) - 1 : -1]
    labels = torch.tensor(found.target)
    return float(cross_entropy(logits, labels, reduction="sum")), len(labels)


@pytest.mark.parametrize("change", ["step", "linear"])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_each_step_has_the_loss_of_its_weights(
    change: str,
    micro_batches: int,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    student = StudentSettings(model=f"hf:{tiny_models['llama']}")
    settings = SETTINGS.model_copy(update={"micro_batches": micro_batches, "held_out": 0.0})
    chosen = condition({"points": FIRST_EXPLAIN, "change": change}, alpha=0.2)
    summary = train(tiny_annotations, student, chosen, settings, tmp_path / "s")

    loaded = load_model(student.model)
    encoder = Encoder(loaded.tokenizer, is_encoder_decoder=False)
    rows = make_rows(tiny_annotations, ["predict", "explain"], ViewOptions())
    losses = [[plain_loss(loaded, encoder, row) for row in pair] for pair in rows]
    sampler = StepSampler(
        [[place] for place in range(16)],
        lambda rows: [Bundle([row], 1) for row in rows],
        batch_size=4,
        seed=0,
    )
    expected, tokens = [], 0
    for step in range(STEPS):
        sampler.set_epoch(step // 4)
        members = sampler.order()[step % 4 * 4 :][:4]
        explain = 1 - step / 4 if change == "linear" else 1.0
        explain = explain if step < 4 else 0.0
        weights = [1 - explain, explain]
        loss = 0.0
        for view, weight in enumerate(weights):
            total = sum(losses[member][view][0] for member in members)
            count = sum(losses[member][view][1] for member in members)
            loss += weight * total / count
            if weight:
                parts = [encoder.encode(rows[member][view], 0) for member in members]
                tokens += sum(part.tokens - 1 for part in parts)
        expected.append(loss)
    assert [point.loss for point in summary.curve] == pytest.approx(expected, rel=1e-4)
    # Rows without a weight cost nothing.
    assert summary.tokens == tokens


def test_checkpoints_are_chosen_by_the_method_s_own_weights(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    student = StudentSettings(model=f"hf:{tiny_models['llama']}")
    chosen = condition(FIRST_EXPLAIN, alpha=0.2)
    summary = train(tiny_annotations, student, chosen, SETTINGS, tmp_path / "s")
    points = [point for point in summary.curve if point.held_out_loss is not None]
    assert len(points) == 4
    for point in points:
        views = point.held_out_views
        assert point.held_out_loss == pytest.approx(0.2 * views["predict"] + 0.8 * views["explain"])
    # The model did not change, so all points have one loss, whatever was trained at them.
    assert len({round(point.held_out_loss or 0, 5) for point in points}) == 1
    card = read_card(tmp_path / "s")
    assert card.weights == {"predict": 0.2, "explain": 0.8}
    assert card.condition == chosen


@pytest.mark.parametrize(
    "points",
    [
        [],
        [{"at": 0.1, "views": {"predict": 1}}],
        [{"at": 0}, {"at": 0}],
        [{"at": 0}, {"at": 0.5}, {"at": 0.4}],
        [{"at": 0}, {"at": 1.1}],
        [{"at": 0, "views": {}}],
        [{"at": 0, "views": {"predict": 0}}],
        [{"at": 0, "views": {"predict": 1, "explain": -1}}],
    ],
)
def test_faulty_points_are_refused(points: Any) -> None:
    with pytest.raises(ValidationError):
        Curriculum.model_validate(points)


def test_curricula_that_do_not_fit_their_method() -> None:
    def settings(points: Any) -> MethodSettings:
        return MethodSettings.model_validate({"method": "multitask", "curriculum": points})

    with pytest.raises(ConfigError, match="never trains its view 'predict'"):
        resolve_method(settings([{"at": 0, "views": {"explain": 1, "predict": 0}}]))
    with pytest.raises(ConfigError, match="no view named 'explian'"):
        resolve_method(settings([{"at": 0, "views": {"explian": 1}}, {"at": 0.5}]))
