"""The one trainer: all views of a step in one loss, on top of the Hugging Face Trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerState,
    TrainingArguments,
)

from distilwhy.ranks import rank, world_size
from distilwhy.students.encode import Encoder
from distilwhy.students.forward import TOKEN_INPUTS, target_logits
from distilwhy.students.rows import Batch, EncodedRow, read_once
from distilwhy.training.batches import StepSampler
from distilwhy.training.losses import (
    token_losses,
    view_counts,
    weighted_view_loss,
)
from distilwhy.training.methods import Method
from distilwhy.training.on_policy import OnPolicy
from distilwhy.training.processes import OwnPasses
from distilwhy.training.soft_labels import SoftTerm

HELD_OUT_TOKENS = 4096


@dataclass(frozen=True)
class StepLosses:
    """The losses of one step, over all its forward passes.

    Args:
        loss: The step's loss, a scalar, over all processes.
        tokens: [targets], the loss of each target token of this process's passes.
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
        if method.points:
            sampler.counted = self._counts
        self.loss_is_scaled_for_ga = True
        self.tokens = 0
        self.positions = 0
        self._step: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def restore(self, checkpoint: str) -> None:
        """Take the state and the best weights of a run that has done all of its steps.

        The Trainer itself would do one more where the last step stands within an epoch.

        Args:
            checkpoint: The run's last checkpoint.
        """
        folder = Path(checkpoint)
        self.state = TrainerState.load_from_json(str(folder / "trainer_state.json"))
        best = self.state.best_model_checkpoint
        if best and self.args.load_best_model_at_end:
            # The folder may have been moved, or be called anew from elsewhere.
            folder = folder.parent / Path(best).name
        self._load_from_checkpoint(str(folder))

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """Return the weights where FSDP spreads them over processes, else ``None``.

        All processes must call it; only the first gets them.
        """
        if not self.is_fsdp_enabled:
            return None
        weights: dict[str, torch.Tensor] = self.accelerator.get_state_dict(self.model_wrapped)
        return weights

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return this process's training batches, in the sampler's order."""
        rows: Any = self.train_dataset
        loader: DataLoader[Any] = DataLoader(
            rows,
            batch_sampler=OwnPasses(self.sampler),
            collate_fn=self._collate,
        )
        # Shared out already: by itself, accelerate would cut it by batches of equal size.
        prepared: DataLoader[Any] = prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )
        return prepared

    def _collate(self, rows: list[EncodedRow]) -> Batch:
        """Return a forward pass; one without rows, of a process with nothing to do, counts none."""
        if rows:
            return self.encoder.collate(rows)
        dataset: Any = self.train_dataset
        row: EncodedRow = dataset[0]
        batch = self.encoder.collate([replace(row, given=len(row.target), number=-1)])
        return {**batch, "labels": batch["labels"].long(), "tokens": torch.tensor(0)}

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | int | None]:
        """Return a step's batches, some of whose targets the student writes itself, and counts."""
        batches, counts = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.on_policy is not None:
            batches = self.on_policy.rewrite(batches, self.state.global_step)
            counts = self._get_num_items_in_batch(batches, device)
        tokens = sum(int(b["tokens"]) for b in batches)
        positions = sum(b[k].numel() for b in batches for k in TOKEN_INPUTS if k in b)
        cost = self._over_processes(torch.tensor([tokens, positions], device=device))
        self.tokens += int(cost[0])
        self.positions += int(cost[1])
        return batches, counts

    def _get_num_items_in_batch(
        self, batch_samples: list[Batch], device: torch.device
    ) -> torch.Tensor | None:
        """Count the step's target tokens by view, over all its forward passes and processes."""
        if not batch_samples:
            return None
        views = len(self.weights)
        counts = torch.stack([view_counts(b["label_views"], views) for b in batch_samples]).sum(0)
        return self._over_processes(counts.to(device))

    def _save_rng_state(self, output_dir: str) -> None:
        """Save it in all processes before the first one ends the checkpoint."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def _over_processes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of all processes' values, in all of them."""
        if world_size() == 1:
            return values
        total: torch.Tensor = self.accelerator.reduce(values, reduction="sum")
        return total

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
        # Each pass's share was multiplied by the number of processes for the average of gradients.
        whole = self._over_processes(torch.stack(loss).sum()) / world_size()
        return StepLosses(whole, torch.cat(tokens), torch.cat(rows))

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
            batches = length_batches(self.held_out, self.encoder, HELD_OUT_TOKENS)
            for rows, counted in own_batches(batches):
                batch = {k: v.to(self.args.device) for k, v in self.encoder.collate(rows).items()}
                losses = self._token_losses(model, batch)
                if counted:
                    sums.index_add_(0, batch["label_views"], losses.double())
                    counts += view_counts(batch["label_views"], views)
        sums, counts = self._over_processes(sums), self._over_processes(counts)
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


def length_batches(
    rows: Sequence[EncodedRow], encoder: Encoder, tokens: int
) -> list[list[EncodedRow]]:
    """Cut rows, sorted by length, into batches of at most so many tokens, padding counted.

    Args:
        rows: The rows; those that share a source stay together.
        encoder: Makes batches of them.
        tokens: The most, but for rows that cannot be parted.
    """
    bundles = [[rows[place] for place in places] for places in encoder.bundles(rows)]
    batches: list[list[list[EncodedRow]]] = []
    for bundle in sorted(bundles, key=read_once):
        if batches and read_once(bundle) * (len(batches[-1]) + 1) <= tokens:
            batches[-1].append(bundle)
        else:
            batches.append([bundle])
    return [[row for bundle in batch for row in bundle] for batch in batches]


def own_batches(
    batches: list[list[EncodedRow]],
) -> Iterator[tuple[list[EncodedRow], bool]]:
    """Yield this process's share of batches, as many as others have, and whether each counts.

    Where weights lie spread over processes, all must make as many forward passes.
    """
    for first in range(0, len(batches), world_size()):
        place = first + rank()
        yield batches[min(place, len(batches) - 1)], place < len(batches)
