"""From a model string to a generator: backends by the kind that the string begins with."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from distilwhy.config import BackendSettings, RaySettings
from distilwhy.errors import ModelError
from distilwhy.generators.base import Count, Decoding, Generator
from distilwhy.generators.lazy import LazyGenerator
from distilwhy.models.names import parse_model
from distilwhy.progress import say
from distilwhy.registry import Registry

Backend = Callable[[str, BackendSettings], Generator]
"""Opens the generator that a model string names; a class with these two arguments is one."""

BACKENDS: Registry[Backend] = Registry("backend")
"""Backends by kind; packages add theirs as entry points of the group ``distilwhy.backends``."""


LOCAL_KINDS = ("hf", "gguf")
"""Kinds of models that run on this machine, so that trying them costs no money."""


SERVER_KINDS = ("http", "https", "ollama", "openai")
"""Kinds of models on a server, which tells no probabilities but those of the tokens written."""


def open_generator(model: str, settings: BackendSettings | None = None) -> Generator:
    """Return the generator that a model string names, loaded and ready.

    Args:
        model: A model string, e.g. ``embedded``, ``hf:NAME``, ``openai:NAME``, ``recorded:FILE``.
        settings: How it is run or reached; the defaults when unset.

    Raises:
        ModelError: When no backend has its kind, or the model cannot be found or loaded.
        MissingExtraError: When it is to run on Ray, which is not installed.
    """
    settings = settings or BackendSettings()
    kind = parse_model(model).kind
    if kind not in BACKENDS:
        raise ModelError(
            f"The model string {model!r} has the unknown kind {kind!r}.",
            f"Known: {', '.join(BACKENDS)}.",
        )
    if settings.engine == "ray":
        from distilwhy.generators.ray_pool import RayGenerator

        return RayGenerator(model, settings)
    if settings.ray != RaySettings():
        say(f"Settings of ray have no effect on {model}: its engine is local.")
    return BACKENDS.get(kind)(model, settings)


def lazy_generator(model: str, settings: BackendSettings | None = None) -> LazyGenerator:
    """Return a stand-in for the generator that a model string names, opened when first asked.

    Args: as of :func:`open_generator`.
    """
    return LazyGenerator(model, cache(lambda: open_generator(model, settings)))


def open_count(model: str) -> Count | None:
    """Return what counts a model's prompt tokens without loading it or asking it, if that can be.

    Args:
        model: A model string.

    Raises:
        ModelError: When a model on this machine cannot be found.
    """
    if parse_model(model).kind not in LOCAL_KINDS:
        return None
    from distilwhy.models.load import load_tokenizer
    from distilwhy.models.tokens import chat_ids, prompt_ids

    loaded = load_tokenizer(model)

    def count(prompt: str, decoding: Decoding) -> int:
        if decoding.chat:
            return len(chat_ids(loaded.tokenizer, prompt, model))
        encodes = loaded.is_encoder_decoder
        return len(prompt_ids(loaded.tokenizer, prompt, is_encoder_decoder=encodes))

    return count


# The imports are deferred, so that each backend loads only what it needs.


@BACKENDS.register("gguf")
@BACKENDS.register("hf")
def open_local(model: str, settings: BackendSettings) -> Generator:
    """Load a model on this machine."""
    from distilwhy.generators.transformers_local import LocalGenerator
    from distilwhy.models.load import load_model
    from distilwhy.models.precision import resolve_precision

    loaded = load_model(model, resolve_precision(settings.precision))
    return LocalGenerator(loaded, settings.batch_size)


@BACKENDS.register("recorded")
def open_recorded(model: str, settings: BackendSettings) -> Generator:
    """Replay recorded texts."""
    from pathlib import Path

    from distilwhy.generators.recorded import RecordedGenerator

    return RecordedGenerator(Path(parse_model(model).target))


@BACKENDS.register("https")
@BACKENDS.register("http")
@BACKENDS.register("ollama")
@BACKENDS.register("openai")
def open_server(model: str, settings: BackendSettings) -> Generator:
    """Reach an OpenAI-compatible server."""
    from distilwhy.generators.openai_api import OpenAIGenerator

    return OpenAIGenerator(model, settings)
