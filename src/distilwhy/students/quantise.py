"""QLoRA: adapters over weights held in few bits (Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import replace
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from distilwhy.errors import MissingExtraError
from distilwhy.models.load import LoadedModel, load_model, quiet
from distilwhy.models.precision import resolve_precision


def check_bits() -> None:
    """Refuse quantisation where bitsandbytes is not installed.

    Raises:
        MissingExtraError: With the command that installs it.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError("lora.bits (QLoRA)", "qlora")


def quantisation() -> BitsAndBytesConfig:
    """Return how bitsandbytes holds the weights: 4-bit NF4 with double quantisation.

    Its 8-bit form is not offered: it computes in fp16, in which T5 overflows.
    """
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=resolve_precision("auto"),
    )


def quantise(loaded: LoadedModel) -> LoadedModel:
    """Return the model with its weights in 4 bits, frozen, ready for adapters.

    Args:
        loaded: The dense model; its embeddings, norms and head stay in fp32.

    Raises:
        MissingExtraError: When bitsandbytes is not installed.
    """
    check_bits()
    from peft import prepare_model_for_kbit_training

    # bitsandbytes quantises while weights are read from files only.
    with tempfile.TemporaryDirectory() as folder, quiet():
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        small = load_model(f"hf:{folder}", torch.float32, quantisation())
        frozen: Any = prepare_model_for_kbit_training  # peft gives it no types
        model = frozen(small.model, use_gradient_checkpointing=False)
    # peft looks the base model up by this name when adapters are saved.
    model.name_or_path = model.config._name_or_path = loaded.model.name_or_path
    return replace(loaded, model=model)


def merged(model: Any) -> Any:
    """Return a peft model as a plain dense one.

    Weights that were held in few bits are made dense first: the student is then exactly what was
    trained, while merging into few bits would round the adapters away.

    Args:
        model: A model wrapped by peft.
    """
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    if not getattr(model.get_base_model(), "is_quantized", False):
        return model.merge_and_unload()
    config, adapters = model.peft_config["default"], get_peft_model_state_dict(model)
    with quiet():
        again = get_peft_model(model.unload().dequantize(torch.float32), config)
    set_peft_model_state_dict(again, adapters)
    return again.merge_and_unload()
