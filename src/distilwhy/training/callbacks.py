"""What watches a run: its cost, its progress, its curve, and faults that must stop it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from distilwhy.errors import StageError
from distilwhy.files import read_json, write_json
from distilwhy.manifests import return_freed_memory
from distilwhy.progress import Advance
from distilwhy.records import CurvePoint
from distilwhy.training.trainer import ViewTrainer

COST = "cost.json"


class Cost(TrainerCallback):
    """Keeps beside each checkpoint what the run has cost, so that a resumed run counts it all.

    Args:
        trainer: The trainer that counts tokens and positions.
        checkpoint: The checkpoint that the run goes on from, if any.
    """

    def __init__(self, trainer: ViewTrainer, checkpoint: str | None) -> None:
        self.trainer = trainer
        self.start = time.monotonic()
        self.seconds_before = 0.0
        file = Path(checkpoint or "") / COST
        if checkpoint and file.is_file():
            before = read_json(file)
            self.seconds_before = before["seconds"]
            trainer.tokens, trainer.positions = before["tokens"], before["positions"]

    @property
    def seconds(self) -> float:
        """Wall time of the run, with that before an interruption."""
        return self.seconds_before + time.monotonic() - self.start

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the cost so far."""
        cost = {
            "seconds": self.seconds,
            "tokens": self.trainer.tokens,
            "positions": self.trainer.positions,
        }
        write_json(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / COST, cost)


class SaveMemory(TrainerCallback):
    """Hands the holes that a step's tensors leave in memory back to the system after each step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Hand memory back."""
        return_freed_memory()


class Watch(TrainerCallback):
    """Shows progress and stops a run whose loss is no longer a number.

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
        # So that a broken run is stopped before it is saved over a sound one.
        control.should_log = control.should_log or control.should_save

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the loss to show; stop when it or its gradient is not a number."""
        watched = {
            "training loss": (logs or {}).get("loss"),
            "gradient": (logs or {}).get("grad_norm"),
            "held-out loss": (logs or {}).get("eval_loss"),
        }
        for name, value in watched.items():
            if value is not None and not math.isfinite(value):
                raise StageError(
                    f"The {name} became {value} at step {state.global_step}; "
                    "lower the learning rate. Checkpoints before it are kept."
                )
        if watched["training loss"] is not None:
            self.loss = f"loss {watched['training loss']:.3f}"


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
