"""A backend for tests of workers on Ray, installed by them as a package's entry point would be.

``logged:FOLDER`` writes a line to ``FOLDER/asked`` for each prompt that it begins on: the process
and the prompt.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from distilwhy.config import BackendSettings
from distilwhy.errors import ModelError
from distilwhy.generators.base import Decoding, Generated

SECONDS = 0.01


class Logged:
    """Answers one prompt after another, and says in a file which."""

    def __init__(self, model: str, settings: BackendSettings) -> None:
        self.name = model
        self.folder = Path(model.partition(":")[2])
        if not self.folder.is_dir():
            raise ModelError("The model is not there.", "Fetch it.")

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield texts that follow from the prompts alone."""
        for number, prompt in enumerate(prompts):
            self._log("asked", prompt)
            time.sleep(SECONDS)
            if "<fails>" in prompt:
                raise ModelError("The prompt is too long.", "Shorten it.")
            if "<breaks>" in prompt:
                raise ZeroDivisionError("a bug")
            if "<kills>" in prompt:
                os._exit(1)
            if "<again>" in prompt and not prompts.again(number):  # type: ignore[attr-defined]
                continue
            yield number, Generated(text(prompt), "stop", len(prompt.split()), 4)

    def _log(self, name: str, prompt: str) -> None:
        line = f"{os.getpid()} {digest(prompt)}\n".encode()
        handle = os.open(self.folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(handle, line)
        os.close(handle)


def digest(prompt: str) -> str:
    """Return what stands for a prompt in the log."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def text(prompt: str) -> str:
    """Return the text that follows a prompt."""
    return f" {digest(prompt)} is the reason."
