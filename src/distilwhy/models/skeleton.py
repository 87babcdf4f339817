"""A model without its weights: its layers and their sizes, as its configuration tells them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from distilwhy.config import LayerSettings
from distilwhy.models.layers import smaller_config
from distilwhy.models.load import LoadedModel, load_tokenizer, quiet


def load_skeleton(name: str, layers: LayerSettings | None = None) -> LoadedModel:
    """Return a model on torch's meta device, which takes no memory and holds no numbers.

    Args:
        name: A model string that :func:`distilwhy.models.load.check_model` accepted.
        layers: Which of its layers are kept; all when unset.

    Raises:
        ModelError: When the model cannot be found, or has no such layer.
    """
    found = load_tokenizer(name)
    config = found.config if layers is None else smaller_config(found.config, layers, name)
    auto: Any = AutoModelForSeq2SeqLM if found.is_encoder_decoder else AutoModelForCausalLM
    with quiet(), torch.device("meta"):
        model = auto.from_config(config, trust_remote_code=False)
    return LoadedModel(name, model, found.tokenizer)
