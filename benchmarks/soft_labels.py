"""How much of a soft loss the teacher's likeliest tokens hold, and what storing them takes.

``python benchmarks/soft_labels.py`` writes benchmarks/results/soft_labels.json and prints the table
of docs/training.md.

Teacher and student are the embedded model: the teacher behind four worked examples and told the
right answer, the student on its plain input, so that they differ as much as they do when training
begins. Targets are the rationales of the other worked examples of all three families.
The loss over the whole vocabulary is compared with that over the likeliest ``k`` tokens and a rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import torch

from distilwhy.config import Condition, SoftLoss, SoftSettings, TrainingSettings
from distilwhy.environment import machine, versions
from distilwhy.files import write_json
from distilwhy.models.load import load_model
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, DataKind, Family, TeacherText
from distilwhy.students.forward import target_logits
from distilwhy.training.data import encode_data
from distilwhy.training.divergences import Shares, likeliest, soft_losses
from distilwhy.training.methods import Method
from distilwhy.training.soft import prepare_soft
from distilwhy.training.soft_store import bytes_per_target
from distilwhy.training.train import make_encoder

RESULTS = Path(__file__).parent / "results" / "soft_labels.json"
SHOTS = 4
COUNTS = (4, 16, 64, 256, 1024)
KINDS: tuple[DataKind, ...] = ("unrevised",)
LOSSES: tuple[SoftLoss, ...] = get_args(SoftLoss)


def annotations() -> list[Annotation]:
    """Return the worked examples that the teacher is not shown."""
    found = []
    for family in get_args(Family):
        for number, worked in enumerate(load_prompts(family).worked_examples[SHOTS:]):
            example = worked.example(family).model_copy(update={"id": f"{family}-{number}"})
            found.append(
                Annotation(
                    example=example,
                    teacher="worked example",
                    rationale=TeacherText(text=worked.rationale),
                    revision=TeacherText(text=worked.revision),
                )
            )
    return found


def both(data: DataKind) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the student's logits and the teacher's log-probabilities, [targets, vocabulary]."""
    soft = SoftSettings(
        teacher="embedded", context="few_shot", shots=SHOTS, gold_answer=True, precision="fp32"
    )
    condition, given = Condition(data=data, soft=soft), annotations()
    method = Method("explain", {"explain": 1.0})
    student, settings = load_model("embedded"), TrainingSettings()
    encoder = make_encoder(student, settings)
    rows = encode_data(given, [], method, condition, settings, encoder)
    run = prepare_soft(student, encoder, condition, method, rows, given)
    assert run.term is not None
    _, shares = run.term._labels.of([row.number for row in rows.rows])
    with torch.no_grad():
        # One by one, so that both stand in the order of the rows.
        ours = [target_logits(student.model, encoder.collate([row])) for row in rows.rows]
    return torch.cat(ours), shares.logprobs


def measure(logits: torch.Tensor, teacher: torch.Tensor) -> list[dict[str, Any]]:
    """Compare each loss over some tokens with that over all."""
    found = []
    for loss in LOSSES:
        exact, slope = with_gradient(logits, Shares(teacher), loss)
        for count in COUNTS:
            kept = likeliest(teacher, count)
            assert kept.rest is not None
            stored = Shares(kept.logprobs.half().float(), kept.tokens, kept.rest.half().float())
            part, its_slope = with_gradient(logits, stored, loss)
            found.append(
                {
                    "loss": loss,
                    "top_k": count,
                    "exact": float(exact.mean()),
                    "stored": float(part.mean()),
                    "gradient_error": float((its_slope - slope).norm() / slope.norm()),
                    "teacher_rest": float(kept.rest.exp().mean()),
                    "bytes_per_token": bytes_per_target(count, "fp16", teacher.shape[-1]),
                }
            )
    return found


def with_gradient(
    logits: torch.Tensor, teacher: Shares, loss: SoftLoss
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each target's loss, and the gradient of their sum."""
    leaf = logits.clone().requires_grad_()
    losses = soft_losses(leaf, teacher, loss, beta=0.5, temperature=1.0)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return losses.detach(), leaf.grad


def main() -> None:
    """Measure, write and print."""
    parts = [both(kind) for kind in KINDS]
    logits, teacher = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    rows = measure(logits, teacher)
    write_json(
        RESULTS,
        {
            "targets": len(logits),
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
        },
    )
    print("| loss | k | bytes a token | whole | stored | less by | error of the gradient |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        less = 100 * (1 - row["stored"] / row["exact"])
        print(
            f"| {row['loss']} | {row['top_k']} | {row['bytes_per_token']:,} | {row['exact']:.4f} "
            f"| {row['stored']:.4f} | {less:.2f} % | {100 * row['gradient_error']:.2f} % |"
        )


if __name__ == "__main__":
    main()
