"""The same functions in fewer passes over memory: fused activations, compiled layers."""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch
from transformers.activations import NewGELUActivation

from distilwhy.errors import ConfigError
from distilwhy.models.load import quiet_logs


def fuse_activations(model: torch.nn.Module) -> None:
    """Replace GELU's tanh form, written out in eight operations, by torch's single one.

    T5 v1.1's feed-forward layers have it; each of the eight keeps a tensor for the backward pass.

    Args:
        model: Any model; it is changed in place, its weights and their names stay.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def compile_layers(model: Any) -> None:
    """Compile a model's repeated layers with ``torch.compile``, each kind once.

    Compiling the layers rather than the whole model keeps compilation short, and hooks on the
    rest of the model work as before.

    Args:
        model: A model of transformers, wrapped by peft or not; it is changed in place.

    Raises:
        ConfigError: When the CPU's code cannot be built, as there is no C++ compiler.
    """
    if model.device.type == "cpu" and not _compiler():
        raise ConfigError(
            "training.compile needs a C++ compiler, and none was found.",
            "Install g++ or clang++, or set training.compile to false.",
        )
    layers = set(model._no_split_modules or ())
    with quiet_logs():  # torch's compiler uses parts of torch that it warns of itself
        for module in model.modules():
            if type(module).__name__ in layers:
                module.compile(dynamic=True)


def _compiler() -> str | None:
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)
