"""Soft labels in a step's loss, against plain forward passes of teacher and student, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div
from transformers import TrainingArguments

from distilwhy.config import Condition, SoftSettings, TrainingSettings
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.records import Annotation
from distilwhy.students.encode import Encoder
from distilwhy.students.views import Row, ViewOptions, make_rows
from distilwhy.training.batches import StepSampler
from distilwhy.training.data import TrainingData, encode_data
from distilwhy.training.losses import view_counts
from distilwhy.training.methods import resolve_method
from distilwhy.training.soft import soft_term
from distilwhy.training.trainer import ViewTrainer

PAIRS = (("llama", "gpt2"), ("t5", "old_t5"), ("llama", "t5"))


class Run:
    """A student and its soft term."""

    def __init__(
        self,
        student: Path,
        annotations: Sequence[Annotation],
        condition: Condition,
        out: Path,
        pack: bool = True,
        store: Path | None = None,
    ) -> None:
        self.loaded: LoadedModel = load_model(f"hf:{student}")
        self.condition = condition
        self.method = resolve_method(condition)
        self.encoder = Encoder(
            self.loaded.tokenizer,
            is_encoder_decoder=self.loaded.is_encoder_decoder,
            pack=pack,
        )
        self.data: TrainingData = encode_data(
            annotations, [], self.method, condition, TrainingSettings(), self.encoder
        )
        self.term = soft_term(
            self.loaded,
            self.encoder,
            condition,
            self.method,
            self.data,
            annotations,
            store,
        )
        self.trainer = ViewTrainer(
            self.loaded.model,
            TrainingArguments(output_dir=str(out), use_cpu=True, report_to="none"),
            method=self.method,
            encoder=self.encoder,
            rows=self.data.rows,
            sampler=StepSampler([[0]], [1], batch_size=1),
            held_out=[],
            soft=self.term,
        )

    def loss(self, parts: int = 1) -> torch.Tensor:
        """Return a step's loss over all rows, cut into so many forward passes."""
        rows = self.data.rows
        cut = [rows[number::parts] for number in range(parts)]
        batches = [self.encoder.collate(part) for part in cut]
        views = len(self.method.weights)
        counts = torch.stack([view_counts(b["label_views"], views) for b in batches]).sum(0)
        losses = [
            self.trainer.compute_loss(self.loaded.model, batch, num_items_in_batch=counts)
            for batch in batches
        ]
        return torch.stack(losses).sum()

    def gradient(self) -> torch.Tensor:
        found = [p.grad.flatten() for p in self.loaded.model.parameters() if p.grad is not None]
        self.loaded.model.zero_grad()
        return torch.cat(found)


def plain_logits(loaded: LoadedModel, row: Row, ahead: str = "") -> tuple[Any, torch.Tensor]:
    """Return logits at a row's target tokens, and these, from the texts."""
    tokenizer, model = loaded.tokenizer, loaded.model
    source = tokenizer(ahead + row.source)["input_ids"]
    target = [*tokenizer(row.target)["input_ids"], tokenizer.eos_token_id]
    if loaded.is_encoder_decoder:
        inputs = torch.tensor([[*source, tokenizer.eos_token_id]])
        logits = model(input_ids=inputs, labels=torch.tensor([target])).logits[0]
    else:
        logits = model(input_ids=torch.tensor([[*source, *target]])).logits[0]
        logits = logits[len(source) - 1 : -1]
    return logits, torch.tensor(target)


def plain_divergence(settings: SoftSettings, theirs: torch.Tensor, ours: torch.Tensor) -> Any:
    shares = [(logits / settings.temperature).softmax(-1) for logits in (theirs, ours)]
    teacher, student = shares

    def kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return kl_div(second.log(), first, reduction="none").sum(-1)

    if settings.loss == "forward_kl":
        found = kl(teacher, student)
    elif settings.loss == "reverse_kl":
        found = kl(student, teacher)
    else:
        mix = settings.beta * teacher + (1 - settings.beta) * student
        found = settings.beta * kl(teacher, mix) + (1 - settings.beta) * kl(student, mix)
    return found * settings.temperature**2


def plain_loss(
    run: Run, teacher: LoadedModel, annotations: Sequence[Annotation], soft_views: Sequence[str]
) -> torch.Tensor:
    settings = run.condition.soft
    assert settings is not None
    total = torch.zeros(())
    for view, view_weight in run.method.weights.items():
        tokens = []
        for (row,) in make_rows(annotations, [view], ViewOptions()):
            ours, labels = plain_logits(run.loaded, row)
            with torch.no_grad():
                theirs, _ = plain_logits(teacher, row)
            hard = cross_entropy(ours, labels, reduction="none")
            weight = settings.weight if view in soft_views else 0.0
            soft = plain_divergence(settings, theirs, ours)
            tokens.append((1 - weight) * hard + weight * soft)
        total = total + view_weight * torch.cat(tokens).mean()
    return total


@pytest.mark.parametrize(("student", "teacher"), PAIRS)
@pytest.mark.parametrize("loss", ["forward_kl", "reverse_kl", "jensen_shannon"])
def test_loss_and_gradient_equal_plain_passes(
    loss: Any,
    student: str,
    teacher: str,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    annotations = tiny_annotations[:3]
    soft = SoftSettings(
        teacher=f"hf:{tiny_models[teacher]}",
        loss=loss,
        beta=0.3 if loss == "jensen_shannon" else 0.5,
        temperature=1.5,
        weight=0.7,
        views=("explain",),
        precision="fp32",
    )
    condition = Condition(method="multitask", alpha=0.4, soft=soft)
    run = Run(tiny_models[student], annotations, condition, tmp_path)
    found = run.loss(parts=2)
    found.backward()  # type: ignore[no-untyped-call]
    gradient = run.gradient()
    loaded = load_model(f"hf:{tiny_models[teacher]}")
    wanted = plain_loss(run, loaded, annotations, ["explain"])
    wanted.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, run.gradient(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("student", ["llama", "t5"])
def test_parts_and_packing_change_nothing(
    student: str,
    pack: bool,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    """SCOTT's form is among the views: tokens that are read but not counted have no soft label."""
    soft = SoftSettings(teacher=f"hf:{tiny_models['gpt2']}", precision="fp32")
    method = Condition(method="multitask+counterfactual", counterfactual_form="decoder", soft=soft)
    run = Run(tiny_models[student], tiny_annotations[:5], method, tmp_path, pack=pack)
    whole, parts = run.loss(), run.loss(parts=4)
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)
    hard = Run(
        tiny_models[student],
        tiny_annotations[:5],
        method.model_copy(update={"soft": None}),
        tmp_path,
    )
    assert hard.term is None
    assert abs(hard.loss().item() - whole.item()) > 0.01


def test_a_student_that_is_its_own_teacher_has_half_the_loss(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    folder = tiny_models["llama"]
    soft = SoftSettings(teacher=f"hf:{folder}", precision="fp32")
    run = Run(folder, tiny_annotations[:4], Condition(soft=soft), tmp_path)
    hard = Run(folder, tiny_annotations[:4], Condition(), tmp_path)
    torch.testing.assert_close(run.loss(), hard.loss() / 2, rtol=1e-5, atol=1e-6)
