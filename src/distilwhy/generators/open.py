"""From a model string to a generator."""

from __future__ import annotations

from pathlib import Path

from distilwhy.config import Precision
from distilwhy.generators.base import Generator
from distilwhy.models.names import parse_model


def open_generator(model: str, *, batch_size: int = 16, precision: Precision = "auto") -> Generator:
    """Return the generator that a model string names, loaded and ready.

    Args:
        model: A model string, e.g. ``embedded``, ``hf:NAME``, ``gguf:FILE``, ``recorded:FILE``.
        batch_size: Texts that a local model writes together.
        precision: Precision of a local model's weights.

    Raises:
        ModelError: When the model cannot be found or loaded.
    """
    name = parse_model(model)
    if name.kind == "recorded":
        from distilwhy.generators.recorded import RecordedGenerator

        return RecordedGenerator(Path(name.target))
    # Deferred, so that replaying recorded texts does not load torch.
    from distilwhy.generators.transformers_local import LocalGenerator
    from distilwhy.models.load import load_model
    from distilwhy.models.precision import resolve_precision

    return LocalGenerator(load_model(model, resolve_precision(precision)), batch_size)
