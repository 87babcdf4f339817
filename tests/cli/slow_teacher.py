"""``distilwhy`` with one more backend, ``slow:SECONDS``, whose log shows what it begins on."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from distilwhy.cli.main import main
from distilwhy.config import BackendSettings
from distilwhy.generators.open import BACKENDS
from distilwhy.generators.scripted import ScriptedGenerator


@BACKENDS.register("slow")
def slow(model: str, settings: BackendSettings) -> ScriptedGenerator:
    """Open a teacher that takes so many seconds for a text, eight texts at a time."""
    seconds = float(model.partition(":")[2])

    def write(prompt: str) -> str:
        with Path(os.environ["SLOW_LOG"]).open("a") as stream:
            stream.write(f"{hashlib.sha256(prompt.encode()).hexdigest()}\n")
        time.sleep(seconds)
        return " It is kept there.\n"

    return ScriptedGenerator(write, name=model)


if __name__ == "__main__":
    main()
