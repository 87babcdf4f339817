"""Loading a model and its tokenizer from a model string, as dense trainable weights."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from distilwhy.errors import ModelError
from distilwhy.files import sha256_file
from distilwhy.models.hub import is_out_of_reach
from distilwhy.models.names import ModelName, parse_model

WITH_WEIGHTS = ("hf", "gguf")
LOADING_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    ImportError,
    RuntimeError,
    SafetensorError,
)


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer.

    Args:
        name: The model string that it was loaded from.
        model: Dense weights, in evaluation mode.
        tokenizer: The model's own tokenizer; it has a pad token.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the source goes to an encoder (T5) rather than before the target."""
        return bool(self.model.config.is_encoder_decoder)


def load_model(
    name: str, dtype: torch.dtype = torch.float32, quantised: BitsAndBytesConfig | None = None
) -> LoadedModel:
    """Load a model and its tokenizer.

    Weights come from safetensors or GGUF, never from pickles; code from the Hub is never run.

    Args:
        name: A model string, e.g. ``hf:google/t5-v1_1-base``, ``gguf:FILE``, ``embedded``.
        dtype: Precision of the weights.
        quantised: How weights are held in fewer bits; ``None`` loads them dense.

    Raises:
        ModelError: When the model cannot be found or is not a language model.
    """
    parsed = _with_weights(name)
    folder = _folder(parsed)
    config: Any = None
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            loaded: Any = auto.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **({"quantization_config": quantised} if quantised else {}),
            )
            model, found = loaded
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise _not_loaded(parsed, error, found=config is not None) from error
    if missing := sorted(found["missing_keys"]):
        # transformers would fill them with random numbers.
        raise ModelError(
            f"{parsed.target} lacks weights of a language model: {len(missing)} in all, "
            f"e.g. {missing[0]}.",
            "Give a model that was trained to write text.",
        )
    _check_end_token(tokenizer, parsed)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return LoadedModel(name, model.eval(), tokenizer)


@dataclass(frozen=True)
class LoadedTokenizer:
    """A model's tokenizer alone.

    Args:
        name: The model string.
        tokenizer: The tokenizer.
        config: The model's configuration.
    """

    name: str
    tokenizer: PreTrainedTokenizerBase
    config: Any

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model is one."""
        return bool(self.config.is_encoder_decoder)


def load_tokenizer(name: str) -> LoadedTokenizer:
    """Load a model's tokenizer without its weights.

    A GGUF file is converted first, once, as it is before the model is run.

    Args:
        name: A model string.

    Raises:
        ModelError: When the model cannot be found, or its tokenizer lacks a part.
    """
    parsed = _with_weights(name)
    folder = _folder(parsed)
    config: Any = None
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise _not_loaded(parsed, error, found=config is not None) from error
    _check_end_token(tokenizer, parsed)
    return LoadedTokenizer(name, tokenizer, config)


def check_model(name: str) -> None:
    """Refuse a model that cannot be loaded, as far as that shows without its weights.

    Args:
        name: A model string.

    Raises:
        ModelError: When the model cannot be found, or its folder lacks a part.
    """
    parsed = _with_weights(name)
    if parsed.kind != "hf":
        return
    load_tokenizer(name)
    folder = Path(parsed.target)
    if folder.is_dir() and not any(folder.glob("*.safetensors")):
        raise _not_loaded(parsed, FileNotFoundError("it holds no safetensors file."), found=True)


def _check_end_token(tokenizer: PreTrainedTokenizerBase, parsed: ModelName) -> None:
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {parsed.target} has no end token, so that texts would never end.",
            "Set eos_token in its tokenizer_config.json.",
        )


def _folder(name: ModelName) -> str:
    """Return the folder or Hub name of a model, converted to safetensors where it is GGUF."""
    return str(converted_gguf(Path(name.target))) if name.kind == "gguf" else name.target


def _with_weights(name: str) -> ModelName:
    parsed = parse_model(name)
    if parsed.kind == "recorded":
        raise ModelError(f"{name} is recorded text, not a model.", "Give a model with weights.")
    if parsed.kind not in WITH_WEIGHTS:
        raise ModelError(
            f"{name} is not a model whose weights can be loaded here.",
            "Give one that is: hf:NAME_OR_FOLDER, gguf:FILE or embedded.",
        )
    if not parsed.is_local_path and is_out_of_reach(parsed.target):
        raise _not_loaded(parsed, None, found=False)
    return parsed


def cache_folder() -> Path:
    """Return the folder for converted models: ``DISTILWHY_CACHE``, else the user's cache."""
    if chosen := os.environ.get("DISTILWHY_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "distilwhy"


def converted_gguf(file: Path) -> Path:
    """Return a safetensors folder with a GGUF file's weights, dequantised; made once a file.

    transformers parses a GGUF file three times and keeps it marked as quantised, so that it can
    neither be saved nor trained; the converted folder loads in about a second and can be both.
    Processes that want the same file wait for the one that converts it.

    Args:
        file: The GGUF file.

    Raises:
        ModelError: When the file is not a GGUF model that transformers knows.
    """
    target = cache_folder() / f"gguf-{sha256_file(file)[:16]}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.is_dir():
            _convert_gguf(file, target)
    return target


def _convert_gguf(file: Path, target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with quiet():
            model = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
            )
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            _without_quantisation(model).save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        temporary.rename(target)
    except Exception as error:  # The reader meets any bytes and raises whatever comes of them.
        raise _not_loaded(ModelName("gguf", str(file)), error, found=True) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _without_quantisation(model: Any) -> PreTrainedModel:
    config = type(model.config).from_dict(
        {k: v for k, v in model.config.to_dict().items() if k != "quantization_config"}
    )
    with torch.device("meta"):
        dense: PreTrainedModel = type(model)(config)
    dense.load_state_dict(model.state_dict(), assign=True)
    dense.tie_weights()
    return dense


def _not_loaded(name: ModelName, error: Exception | None, *, found: bool) -> ModelError:
    if found or name.is_local_path:
        reason = str(error).split("\n")[0]
        return ModelError(
            f"{name.target} could not be loaded as a language model: {reason}",
            "Give a folder with config.json, safetensors weights and a tokenizer, or a GGUF file.",
        )
    return ModelError(
        f"The model {name.target!r} was found neither as a folder nor on the model hub.",
        "Check the name and the connection, or give a local folder.",
    )


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Silence the libraries' bars, logged advice and warnings; errors still come through."""
    verbosity = transformers_logging.get_verbosity()
    hub_verbosity = hub_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    hub_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub_verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the one loading bar that has no switch too."""
    # The GGUF reader's bar has no switch of its own, and all bars write to standard error.
    with quiet_logs(), Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        yield
