"""A process that starts runs in children of its own, so that each can be killed at once.

Each line that it reads is ``store log``; it starts a run, writes the run's process number, waits
for its end and writes its exit status.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from distilwhy.config import TeachingSettings
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import Example
from distilwhy.teaching.annotate import annotate

EXAMPLES = [
    Example(
        id=f"q{number}",
        question=f"What is thing {number}?",
        choices=("stone", "water", "air"),
        answer=("stone", "water", "air")[number % 3],
    )
    for number in range(24)
]
SETTINGS = TeachingSettings(shots=1, adjective_pairs=2)


def prompt_id(prompt: str) -> str:
    """Return what stands for a prompt in the log."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def run(store: Path, log: Path, seconds: float = 0.001) -> None:
    """Annotate; the log gets a line for each prompt that the teacher begins on."""
    with log.open("ab", buffering=0) as stream:

        def write(prompt: str) -> str:
            stream.write(f"{prompt_id(prompt)}\n".encode())
            time.sleep(seconds)
            return f" {prompt_id(prompt)} is why.\n"

        annotate(EXAMPLES, ScriptedGenerator(write), SETTINGS, seed=0, store_path=store)


def tell(number: int) -> None:
    """Write a number."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        store, log = map(Path, line.split())
        child = os.fork()
        if child == 0:
            run(store, log)
            os._exit(0)
        tell(child)
        tell(os.waitpid(child, 0)[1])
