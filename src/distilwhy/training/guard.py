"""Stops a run that went wrong, and keeps the step at which it did for the user to read."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from distilwhy.errors import StageError
from distilwhy.files import write_json
from distilwhy.ranks import rank
from distilwhy.students.views import Row
from distilwhy.training.checkpoints import CHECKPOINTS, kept_by
from distilwhy.training.processes import gathered
from distilwhy.training.trainer import StepLosses, ViewTrainer

FIRST_STEPS = 10
LAST_STEPS = 50
STOPPED_STEP = "stopped-step.json"


@dataclass(frozen=True)
class _Step:
    """A step whose loss was not looked at yet."""

    number: int
    losses: StepLosses
    learning_rate: float


class Guard(TrainerCallback, ExportableState):
    """Stops a run at a loss that is no number, or that jumps.

    A spike is a step's loss above ``spike`` times the larger of two medians: that of the last 50
    steps and that of the run's first 10. The second keeps a well-trained student's small losses,
    of which one may be many times another, from being taken for spikes: what is told is a student
    that is far worse than it began.

    Args:
        trainer: The trainer, which knows the step's rows and losses.
        rows: All training rows, in the order that the trainer knows them by.
        spike: How many times; ``None`` looks for numbers only.
        out: The student's folder.
    """

    def __init__(
        self, trainer: ViewTrainer, rows: Sequence[Row], spike: float | None, out: Path
    ) -> None:
        self.trainer = trainer
        self.rows = rows
        self.spike = spike
        self.out = out
        self.first: list[float] = []
        self.last: deque[float] = deque(maxlen=LAST_STEPS)
        self.waiting: list[_Step] = []
        self.rate = 0.0

    def state(self) -> dict[str, Any]:
        """Return the losses that spikes are measured by; the Trainer writes them with its state."""
        return {"args": {}, "attributes": {"first": self.first, "last": list(self.last)}}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the losses from the checkpoint that the run goes on from."""
        kept = kept_by("Guard", state.stateful_callbacks)
        self.first = list(kept.get("first", ()))
        self.last.extend(kept.get("last", ()))
        (self.out / STOPPED_STEP).unlink(missing_ok=True)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note the step's learning rate."""
        self.rate = float(kwargs["lr_scheduler"].get_last_lr()[0])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the step before; at this one too where it is about to be saved."""
        self.waiting.append(_Step(state.global_step, self.trainer.take_step(), self.rate))
        # So that a broken run is stopped before it is saved over a sound one.
        control.should_log = control.should_log or control.should_save
        # A step late, so that an accelerator need not wait for this one.
        self._look_at_all_but(0 if control.should_save else 1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Stop where the gradient or the held-out loss is not a number."""
        for name, key in (("gradient", "grad_norm"), ("held-out loss", "eval_loss")):
            value = (logs or {}).get(key)
            if value is not None and not math.isfinite(value):
                last = self.waiting[-1] if self.waiting else None
                self._look_at_all_but(0)  # a loss that is no number says more
                raise self._stop(name, value, state.global_step, last)

    def _look_at_all_but(self, count: int) -> None:
        while len(self.waiting) > count:
            self._look(self.waiting.pop(0))

    def _look(self, step: _Step) -> None:
        loss = float(step.losses.loss)
        if not math.isfinite(loss):
            raise self._stop("training loss", loss, step.number, step)
        if self.spike is not None and len(self.first) == FIRST_STEPS:
            usual = max(median(self.first), median(self.last))
            if loss > self.spike * usual:
                raise self._stop("training loss", loss, step.number, step, usual)
        if len(self.first) < FIRST_STEPS:
            self.first.append(loss)
        self.last.append(loss)

    def _stop(
        self,
        name: str,
        value: float,
        number: int,
        step: _Step | None,
        usual: float | None = None,
    ) -> StageError:
        """Write what is known of the step, and return the error to raise."""
        path = self.out / STOPPED_STEP
        told = {
            "step": number,
            "what": name,
            "value": _plain(value),
            "usual": usual,
            "loss": _plain(float(step.losses.loss)) if step else None,
            "learning_rate": step.learning_rate if step else None,
            "last_losses": list(self.last),
            "rows": self._told_rows(step.losses) if step else [],
        }
        if rank() == 0:
            write_json(path, told)
        jump = "" if usual is None else f", {value / usual:.1f} times the usual {usual:.3g}"
        off = "" if usual is None else " To go on all the same, set training.spike to null."
        return StageError(
            f"The {name} became {value:.4g}{jump} at step {number}; its rows are in {path}. "
            f"Mend them or lower the learning rate, delete {self.out / CHECKPOINTS} and run again."
            f"{off}"
        )

    def _told_rows(self, losses: StepLosses) -> list[dict[str, Any]]:
        """Return the step's rows, those with the highest loss first."""
        own = {
            number: float(losses.tokens[losses.rows == number].mean())
            for number in torch.unique(losses.rows).tolist()
        }
        means = {number: mean for part in gathered(own) for number, mean in part.items()}
        numbers = sorted(means, key=lambda n: -means[n] if math.isfinite(means[n]) else -math.inf)
        return [
            {
                "example": self.rows[number].example_id,
                "view": self.rows[number].view,
                "loss": _plain(means[number]),
                "source": self.rows[number].source,
                "target": self.rows[number].tag
                + self.rows[number].given
                + self.rows[number].target,
            }
            for number in numbers
            if number >= 0  # a row made under way is not among them
        ]


def _plain(value: float) -> float | str:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else str(value)
