"""Checkpoints: going on where a run stopped, and running out of disk without losing anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from distilwhy.config import (
    NO_WEIGHT_CHANGES,
    Condition,
    StudentSettings,
    TrainingSettings,
)
from distilwhy.errors import ConfigError, DataError
from distilwhy.files import read_json, sha256_json, write_json
from distilwhy.progress import say
from distilwhy.records import Annotation

CHECKPOINTS = "checkpoints"
KEPT_CHECKPOINTS = 2  # the best and the last
STATE = "trainer_state.json"
DISK_IS_FULL = (
    "No space left",  # Python
    "os error 28",  # safetensors
    "PytorchStreamWriter",  # torch, which tells only that what it wrote is not where it should be
    "inline_container",
    "iostream error",
)
PATIENCE_COUNTER = "early_stopping_patience_counter"


def checkpoint_to_resume(
    out: Path,
    student: StudentSettings,
    condition: Condition,
    settings: TrainingSettings,
    annotations: Sequence[Annotation],
) -> str | None:
    """Return the last whole checkpoint of the same run, if there is one.

    Args:
        out: The student's folder.
        student: The base model.
        condition: Method and data kind.
        settings: Settings of training; those that change no weight may differ.
        annotations: The run's data.

    Raises:
        ConfigError: When the checkpoints there are of another run.
    """
    parts = [item.model_dump(mode="json") for item in (student, condition, *annotations)]
    parts.append(settings.model_dump(mode="json", exclude=NO_WEIGHT_CHANGES))
    run = {"run": sha256_json(parts)}
    folder = out / CHECKPOINTS
    shutil.rmtree(_doomed(out), ignore_errors=True)
    marker = folder / "run.json"
    whole = [path for path in folder.glob("checkpoint-*") if _is_whole(path)]
    if whole and not (marker.is_file() and read_json(marker) == run):
        raise ConfigError(
            f"{folder} holds checkpoints of a run with other settings or data.",
            "Delete that folder to start anew, or choose another --out.",
        )
    write_json(marker, run)
    for path in set(folder.glob("checkpoint-*")) - set(whole):
        shutil.rmtree(path)
    if not whole:
        return None
    last = max(whole, key=lambda path: step_of(str(path)))
    say(f"Going on from {last}.")
    return str(last)


def remove_checkpoints(out: Path) -> None:
    """Remove the checkpoints of a finished run.

    They lose their name first, at once: a run killed in between must not go on from what is left.
    """
    with suppress(FileNotFoundError):
        (out / CHECKPOINTS).rename(_doomed(out))
    shutil.rmtree(_doomed(out), ignore_errors=True)


def _doomed(out: Path) -> Path:
    return out / f".{CHECKPOINTS}-to-remove"


def stopped_early(checkpoint: str | None, patience: int | None) -> bool:
    """Return whether the run ended by patience at a checkpoint, so that no step is missing."""
    if checkpoint is None or patience is None:
        return False
    return int(callback_state(checkpoint, "Patience").get(PATIENCE_COUNTER, 0)) >= patience


def callback_state(checkpoint: str, name: str) -> dict[str, Any]:
    """Return what a callback kept in a checkpoint; empty where it kept nothing."""
    return kept_by(name, read_json(Path(checkpoint) / STATE)["stateful_callbacks"])


def kept_by(name: str, stateful_callbacks: Any) -> dict[str, Any]:
    """Return what a callback kept, from the Trainer's state; empty where it kept nothing."""
    kept = (stateful_callbacks or {}).get(name, {})
    found: dict[str, Any] = kept.get("attributes", {}) if isinstance(kept, dict) else {}
    return found


def step_of(checkpoint: str | None) -> int:
    """Return the optimiser steps done at a checkpoint; 0 where there is none."""
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0


def _is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint was written to its end: the state is the last of its files."""
    state = checkpoint / STATE
    try:
        return state.is_file() and isinstance(read_json(state), dict)
    except DataError:
        return False


def require_disk(model: Any, out: Path, saves: bool) -> None:
    """Refuse to start when the checkpoints cannot fit: weights and two AdamW moments in fp32."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    checkpoint = (total if trainable == total else trainable) * 4 + trainable * 8
    needed = total * 4 + (checkpoint * (KEPT_CHECKPOINTS + 1) if saves else 0)
    out.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out).free
    if free < needed:
        raise DataError(
            f"{out} has {free / 2**30:.1f} GiB free, but checkpoints need "
            f"{needed / 2**30:.1f} GiB.",
            "Free some space or choose another folder.",
        )


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn a failed write into one sentence; earlier checkpoints stay as they are."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if not any(mark in str(error) for mark in DISK_IS_FULL):
            raise
        raise DataError(
            f"A checkpoint could not be written to {out}: the disk is full.",
            "Free some space and run the command again; it goes on from the last checkpoint.",
        ) from error
