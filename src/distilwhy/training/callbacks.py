"""What watches a run: its cost, its progress, its patience, its curve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import ExportableState

from distilwhy.environment import return_freed_memory
from distilwhy.progress import Advance
from distilwhy.records import CurvePoint
from distilwhy.training.checkpoints import PATIENCE_COUNTER, callback_state, kept_by
from distilwhy.training.trainer import ViewTrainer


class Cost(TrainerCallback, ExportableState):
    """Keeps in each checkpoint what the run has cost, so that a resumed run counts it all.

    Args:
        trainer: The trainer that counts tokens and positions.
        checkpoint: The checkpoint that the run goes on from, if any.
    """

    def __init__(self, trainer: ViewTrainer, checkpoint: str | None) -> None:
        self.trainer = trainer
        self.start = time.monotonic()
        self.seconds_before = 0.0
        before = callback_state(checkpoint, "Cost") if checkpoint else {}
        if before:
            self.seconds_before = before["seconds"]
            trainer.tokens, trainer.positions = before["tokens"], before["positions"]

    @property
    def seconds(self) -> float:
        """Wall time of the run, with that before an interruption."""
        return self.seconds_before + time.monotonic() - self.start

    def state(self) -> dict[str, Any]:
        """Return the cost so far; the Trainer writes it with its own state."""
        cost = {
            "seconds": self.seconds,
            "tokens": self.trainer.tokens,
            "positions": self.trainer.positions,
        }
        return {"args": {}, "attributes": cost}


class Patience(EarlyStoppingCallback):
    """The Trainer's early stopping, which goes on counting where a stopped run goes on.

    The Trainer itself restores callbacks all together or not at all, and can make only those anew
    that need nothing but numbers.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the count from the checkpoint that the run goes on from."""
        super().on_train_begin(args, state, control, **kwargs)  # type: ignore[no-untyped-call]
        kept = kept_by("Patience", state.stateful_callbacks)
        self.early_stopping_patience_counter = kept.get(PATIENCE_COUNTER, 0)


class Moved(TrainerCallback):
    """Finds the best checkpoint also where a stopped run's folder was moved or is called anew."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look for it among this run's checkpoints."""
        if state.best_model_checkpoint:
            name = Path(state.best_model_checkpoint).name
            state.best_model_checkpoint = str(Path(str(args.output_dir)) / name)


class SaveMemory(TrainerCallback):
    """Hands the holes that a step's tensors leave in memory back to the system after each step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Hand memory back."""
        return_freed_memory()


class Watch(TrainerCallback):
    """Shows progress.

    Args:
        advance: Called with the steps done and the last loss.
    """

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.loss = ""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the step."""
        self.advance(state.global_step, note=self.loss)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the loss to show."""
        if logs and "loss" in logs:
            self.loss = f"loss {logs['loss']:.3f}"


def curve_of(state: TrainerState) -> tuple[CurvePoint, ...]:
    """Return the training curve from the Trainer's log."""
    points: dict[int, CurvePoint] = {}
    for entry in state.log_history:
        step = int(entry["step"])
        point = points.get(step, CurvePoint(step=step))
        update: dict[str, Any] = {}
        if "loss" in entry:
            update["loss"] = entry["loss"]
        if "eval_loss" in entry:
            update["held_out_loss"] = entry["eval_loss"]
            update["held_out_views"] = {
                name.removeprefix("eval_"): value
                for name, value in entry.items()
                if name.startswith("eval_") and name != "eval_loss"
            }
        if update:
            points[step] = point.model_copy(update=update)
    return tuple(points[step] for step in sorted(points))
