"""Trackers: who is told of a run's losses, through the Trainer's own callbacks."""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    TensorBoardCallback,
)

from distilwhy.errors import ConfigError

PACKAGES = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
}
"""The packages of each tracker, any of which will do; the first is the one to install."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that could not be told anything.

    Args:
        names: Their names, as transformers' ``report_to`` knows them.

    Raises:
        ConfigError: When the Trainer knows no such tracker, a package is missing, or Weights &
            Biases has no key to send with.
    """
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise ConfigError(
                f"training.trackers cannot be used: {name} is not one that the Trainer knows.",
                f"Known: {', '.join(sorted(INTEGRATION_TO_CALLBACK))}.",
            )
        packages = PACKAGES.get(name, ())
        if packages and not any(importlib.util.find_spec(package) for package in packages):
            raise ConfigError(
                f"training.trackers names {name!r}, whose package is not installed.",
                f"Run: pip install {packages[0]}",
            )
        try:
            INTEGRATION_TO_CALLBACK[name]()
        except Exception as error:  # Each looks for its package in its own way.
            raise _unusable(name, error, "Install or mend its package.") from error
    if "wandb" in names:
        _check_wandb()


def _check_wandb() -> None:
    """Refuse to start a run that would end, or wait for a key, when it is first told of."""
    import wandb

    if os.environ.get("WANDB_MODE", "online") != "online":
        return
    asks = "prompt" in inspect.signature(wandb.login).parameters  # not in older versions
    remedy = (
        "Run: wandb login. Or set WANDB_MODE=offline and send the runs later by: wandb sync FOLDER"
    )
    try:
        has_key = wandb.login(prompt=False) if asks else wandb.api.api_key
    except wandb.Error as error:
        raise _unusable("wandb", error, remedy) from error
    if not has_key:
        raise ConfigError("training.trackers names 'wandb', which has no key to send with.", remedy)


def _unusable(name: str, error: Exception, remedy: str) -> ConfigError:
    what = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ConfigError(f"training.trackers: {name} cannot be used ({what}).", remedy)


def ready(trainer: Trainer, names: Sequence[str], out: Path) -> None:
    """Have trackers begin with a sentence where they cannot, and write where it lasts.

    TensorBoard's files lie beside the student, in ``<out>.tensorboard``; by itself it would put
    them among the checkpoints, which are removed.

    Args:
        trainer: The trainer with its callbacks.
        names: The trackers' names.
        out: The student's folder.
    """
    kinds = {INTEGRATION_TO_CALLBACK[name]: name for name in names}
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(out.with_name(f"{out.name}.tensorboard"))
        if type(callback) in kinds:
            callback.on_train_begin = _begins(callback.on_train_begin, kinds[type(callback)])


def _begins(begin: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a tracker's beginning whose failure is one sentence, whatever its package raises."""

    @wraps(begin)
    def begun(*args: Any, **kwargs: Any) -> Any:
        try:
            return begin(*args, **kwargs)
        except Exception as error:
            remedy = f"Mend what {name} says, or leave it out of training.trackers."
            raise _unusable(name, error, remedy) from error

    return begun
