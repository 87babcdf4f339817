"""A smaller model out of a larger one: some of its layers, and all that is not a layer."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distilwhy.config import LayerSettings
from distilwhy.errors import ModelError
from distilwhy.models.load import LOADING_ERRORS, LoadedModel, load_tokenizer, quiet

ENCODER_COUNTS = ("encoder_layers", "num_layers")
DECODER_COUNTS = ("decoder_layers", "num_decoder_layers")
COUNTS = ("num_hidden_layers",)


@dataclass(frozen=True)
class Stack:
    """The layers of a model, or of its encoder or decoder.

    Args:
        part: ``decoder`` or ``encoder``, as settings call it.
        field: The configuration's field that holds their number.
        module: Name of the list of layers within the model.
        count: How many there are.
    """

    part: str
    field: str
    module: str
    count: int


def keep_layers(loaded: LoadedModel, settings: LayerSettings) -> LoadedModel:
    """Return a model that has only some of another's layers; embeddings and head are the same.

    Layers follow each other as they did, those between left out. What only the first layer has,
    such as T5's relative positions, goes to the first that is kept. The configuration's number of
    layers is set, and lists in it with an entry a layer, such as ``layer_types``, are cut alike.

    Args:
        loaded: The larger model, dense weights; it shares them with the smaller one.
        settings: Which layers are kept.

    Raises:
        ModelError: When the model has no such layer, or is not built of equal layers.
    """
    model: Any = loaded.model
    stacks = find_stacks(model)
    kept = {stack.module: _kept(stack, settings, loaded.name) for stack in stacks}
    config = copy.deepcopy(model.config)
    for stack in stacks:
        _cut_config(config, stack, kept[stack.module])
    weights = model.state_dict()
    for stack in stacks:
        weights = _renumbered(weights, stack.module, kept[stack.module])
    try:
        with quiet():
            smaller, found = type(model).from_pretrained(
                None, config=config, state_dict=weights, dtype=model.dtype, output_loading_info=True
            )
    except LOADING_ERRORS as error:
        raise _not_cut(loaded.name) from error
    if any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise _not_cut(loaded.name)
    smaller.generation_config = model.generation_config
    smaller.name_or_path = model.name_or_path
    return LoadedModel(loaded.name, smaller.eval(), loaded.tokenizer)


def check_layers(name: str, settings: LayerSettings) -> None:
    """Refuse layers that a model does not have, as far as its configuration alone tells.

    Args:
        name: A model string that :func:`distilwhy.models.load.check_model` accepted.
        settings: Which layers are kept.

    Raises:
        ModelError: When the model has no such layer, or no encoder.
    """
    smaller_config(load_tokenizer(name).config, settings, name)


def smaller_config(config: Any, settings: LayerSettings, name: str) -> Any:
    """Return a model's configuration as it is with only some of its layers.

    Args:
        config: The larger model's.
        settings: Which layers are kept.
        name: Its model string, for messages.

    Raises:
        ModelError: When the model has no such layer, or no encoder.
    """
    if settings.encoder is not None and not config.is_encoder_decoder:
        raise ModelError(
            f"{name} has no encoder, so layers.encoder has no effect.", "Leave it away."
        )
    smaller = copy.deepcopy(config)
    for part, fields in _parts(config):
        if field := _field(config, fields):
            stack = Stack(part, field, "", getattr(config, field))
            _cut_config(smaller, stack, _kept(stack, settings, name))
    return smaller


def find_stacks(model: Any) -> list[Stack]:
    """Return the lists of layers that a model is built of.

    Raises:
        ModelError: When they cannot be told.
    """
    stacks = []
    for part, fields in _parts(model.config):
        if part == "encoder":
            owner = model.get_encoder()
        else:
            owner = model.get_decoder() if model.config.is_encoder_decoder else model
        field = _field(model.config, fields)
        count = getattr(model.config, field) if field else 0
        lists = [m for m in owner.modules() if _is_list(m) and len(m) == count]
        if not field or not lists:
            raise _not_cut(type(model).__name__)
        # The outermost stands first; a layer may hold a list of as many parts.
        name = next(name for name, module in model.named_modules() if module is lists[0])
        stacks.append(Stack(part, field, name, count))
    return stacks


def _parts(config: Any) -> list[tuple[str, tuple[str, ...]]]:
    if config.is_encoder_decoder:
        return [("encoder", ENCODER_COUNTS), ("decoder", DECODER_COUNTS)]
    return [("decoder", COUNTS)]


def _field(config: Any, names: Iterable[str]) -> str | None:
    return next((name for name in names if isinstance(getattr(config, name, None), int)), None)


def _is_list(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.ModuleList)


def _kept(stack: Stack, settings: LayerSettings, name: str) -> tuple[int, ...]:
    wanted = settings.keep
    if stack.part == "encoder" and settings.encoder is not None:
        wanted = settings.encoder
    if wanted == "all":
        return tuple(range(stack.count))
    if wanted == "every_second":
        return tuple(range(0, stack.count, 2))
    if beyond := [place for place in wanted if int(place) >= stack.count]:
        raise ModelError(
            f"{name} has no layer {beyond[0]} to keep: its {stack.part} has {stack.count} layers.",
            f"Give numbers from 0 to {stack.count - 1}.",
        )
    return tuple(map(int, wanted))


def _cut_config(config: Any, stack: Stack, kept: Sequence[int]) -> None:
    """Set the number of layers, and cut the lists that hold an entry for each."""
    for name, value in list(vars(config).items()):
        if "layer" in name and isinstance(value, list | tuple) and len(value) == stack.count:
            setattr(config, name, [value[place] for place in kept])
    setattr(config, stack.field, len(kept))


def _renumbered(
    weights: dict[str, torch.Tensor], module: str, kept: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return the weights without those of other layers, the kept ones numbered from 0."""
    layers: dict[int, dict[str, torch.Tensor]] = {}
    found = {}
    for name, tensor in weights.items():
        if not name.startswith(f"{module}."):
            found[name] = tensor
            continue
        number, _, rest = name.removeprefix(f"{module}.").partition(".")
        layers.setdefault(int(number), {})[rest] = tensor
    chosen = [layers[place] for place in kept]
    if layers[0].keys() > chosen[0].keys():
        chosen[0] = layers[0] | chosen[0]
    for place, layer in enumerate(chosen):
        found |= {f"{module}.{place}.{rest}": tensor for rest, tensor in layer.items()}
    return found


def _not_cut(name: str) -> ModelError:
    return ModelError(
        f"No layers can be left out of {name}: it is not a plain stack of layers.",
        "Leave the student's layers unset, or take another model.",
    )
