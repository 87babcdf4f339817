"""The one trainer: all views of a step in one loss, on top of the Hugging Face Trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from distilwhy.students.encode import Encoder
from distilwhy.students.forward import TOKEN_INPUTS, target_logits
from distilwhy.students.rows import Batch, EncodedRow
from distilwhy.training.batches import StepSampler
from distilwhy.training.losses import (
    token_losses,
    view_counts,
    weighted_view_loss,
)
from distilwhy.training.methods import Method
from distilwhy.training.on_policy import OnPolicy
from distilwhy.training.soft_labels import SoftTerm

HELD_OUT_TOKENS = 4096


@dataclass(frozen=True)
class StepLosses:
    """The losses of one step, over all its forward passes.

    Args:
        loss: The step's loss, a scalar.
        tokens: [targets], the loss of each target token.
        rows: int64, [targets], the number of the row that each belongs to.
    """

    loss: torch.Tensor
    tokens: torch.Tensor
    rows: torch.Tensor


class ViewTrainer(Trainer):
    """Trains a student on the weighted sum of its views' mean token losses.

    Args:
        model: The student.
        args: transformers' arguments; ``gradient_accumulation_steps`` must equal the sampler's
            ``micro_batches``.
        method: The views and their weights.
        encoder: Makes batches.
        rows: Training rows.
        sampler: Which of them stand together.
        held_out: Rows to evaluate on; may be empty.
        soft: Soft labels of training rows; held-out rows have the hard loss alone.
        on_policy: Writes targets anew.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        *,
        method: Method,
        encoder: Encoder,
        rows: Sequence[EncodedRow],
        sampler: StepSampler,
        held_out: Sequence[EncodedRow],
        soft: SoftTerm | None = None,
        on_policy: OnPolicy | None = None,
    ) -> None:
        super().__init__(
            model,
            args,
            train_dataset=list(rows),
            eval_dataset=list(held_out) or None,
        )
        self.remove_callback(PrinterCallback)
        self.rows = rows
        self.held_out = held_out
        self.soft = soft
        self.on_policy = on_policy
        self.method = method
        self.encoder = encoder
        self.sampler = sampler
        self.weights = torch.tensor(list(method.weights.values()), device=args.device)
        self.planned_steps = args.max_steps
        if method.points and args.world_size == 1:
            # Of several processes each would have to know which steps its batches are of.
            sampler.counted = self._counts
        self.loss_is_scaled_for_ga = True
        self.tokens = 0
        self.positions = 0
        self._step: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches, in the sampler's order."""
        rows: Any = self.train_dataset
        loader: DataLoader[Any] = DataLoader(
            rows,
            batch_sampler=self.sampler,
            collate_fn=self.encoder.collate,
        )
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | int | None]:
        """Return a step's batches, some of whose targets the student writes itself, and counts."""
        batches, counts = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.on_policy is not None:
            batches = self.on_policy.rewrite(batches, self.state.global_step)
            counts = self._get_num_items_in_batch(batches, device)
        return batches, counts

    def _get_num_items_in_batch(
        self, batch_samples: list[Batch], device: torch.device
    ) -> torch.Tensor | None:
        """Count the step's target tokens by view, over all its forward passes and processes."""
        if not batch_samples:
            return None
        views = len(self.weights)
        counts = torch.stack([view_counts(b["label_views"], views) for b in batch_samples]).sum(0)
        counts = counts.to(device)
        if self.args.world_size > 1:
            counts = self.accelerator.reduce(counts, reduction="sum")
        return counts

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the forward pass's share of the step's loss."""
        if isinstance(num_items_in_batch, torch.Tensor):
            counts = num_items_in_batch
        else:
            counts = view_counts(inputs["label_views"], len(self.weights))
        self.tokens += int(inputs["tokens"])
        self.positions += sum(inputs[k].numel() for k in TOKEN_INPUTS if k in inputs)
        losses = self._token_losses(model, inputs)
        loss = weighted_view_loss(losses, inputs["label_views"], self.step_weights(), counts)
        # Processes average their gradients, while the counts are those of all of them together.
        loss = loss * self.args.world_size
        self._step.append((loss.detach(), losses.detach(), inputs["label_rows"]))
        return (loss, None) if return_outputs else loss

    def take_step(self) -> StepLosses:
        """Return the losses of the step just done, and forget them."""
        loss, tokens, rows = zip(*self._step, strict=True)
        self._step = []
        return StepLosses(torch.stack(loss).sum(), torch.cat(tokens), torch.cat(rows))

    def _counts(self, row: int, step: int) -> bool:
        """Return whether a training row counts in a step's loss."""
        return self.method.weights_at(step / self.planned_steps)[self.rows[row].view] > 0

    def step_weights(self) -> torch.Tensor:
        """Return the weight of each view in the step under way: fp32, [views]."""
        if not self.method.points:
            return self.weights
        share = self.state.global_step / self.planned_steps
        return torch.tensor(self.method.weights_at(share), device=self.args.device)

    def _token_losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        logits = target_logits(model, batch, self.accelerator.unwrap_model(model))
        if self.soft is not None:
            return self.soft.token_losses(logits, batch)
        return token_losses(logits, batch["labels"])

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the method's loss on the held-out rows, and each view's own mean token loss.

        The loss is by the method's own weights, whatever a curriculum trains at that point, so that
        checkpoints of one run, and runs of one method, can be compared.
        """
        model: Any = self.model
        was_training = model.training
        model.eval()
        views = len(self.weights)
        sums = torch.zeros(views, device=self.args.device, dtype=torch.float64)
        counts = torch.zeros(views, device=self.args.device, dtype=torch.int64)
        with torch.inference_mode(), self.accelerator.autocast():
            for rows in length_batches(self.held_out, HELD_OUT_TOKENS):
                batch = {k: v.to(self.args.device) for k, v in self.encoder.collate(rows).items()}
                losses = self._token_losses(model, batch)
                sums.index_add_(0, batch["label_views"], losses.double())
                counts += view_counts(batch["label_views"], views)
        model.train(was_training)
        means = sums / counts.clamp(min=1)
        metrics = {"eval_loss": float((means * self.weights).sum())}
        for name, mean, count in zip(self.method.weights, means, counts, strict=True):
            if count:
                metrics[f"eval_{name}"] = float(mean)
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


def length_batches(rows: Sequence[EncodedRow], tokens: int) -> list[list[EncodedRow]]:
    """Cut rows, sorted by length, into batches of at most so many tokens, padding counted."""
    batches: list[list[EncodedRow]] = []
    for row in sorted(rows, key=lambda row: row.tokens):
        if batches and row.tokens * (len(batches[-1]) + 1) <= tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
