"""A small task of one's own, a scripted teacher, and settings that train in a blink."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Experiment
from distilwhy.generators.scripted import ScriptedGenerator

PLACES = ("shed", "lake", "attic")


def say_something(prompt: str) -> str:
    """Write what a teacher might: an answer where none is told, else a text of its own."""
    if prompt.endswith("The answer is"):
        return " shed. It is kept there.\n\nQuestion: next"
    digest = hashlib.sha256(prompt.encode()).hexdigest()
    return " It is " + " ".join(f"{word}ly kept" for word in (digest[:3], digest[3:6])) + ".\n"


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv (12 rows) and test.csv (6 rows); the last row stands in both."""
    folder = tmp_path_factory.mktemp("task")
    for split, numbers in (("train", range(12)), ("test", [*range(20, 25), 11])):
        with (folder / f"{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["name", "question", "a", "b", "c", "answer"])
            for number in numbers:
                # The same question under another id, and in another case, is still the same.
                question = f"Where is thing {number}?"
                shown = question.upper() if split == "test" else question
                answer = PLACES[number % 3]
                writer.writerow([f"{split}-{number}", shown, *PLACES, answer])
    return folder


@pytest.fixture(scope="session")
def task() -> dict[str, Any]:
    return {
        "name": "places",
        "family": "multiple_choice",
        "source": {"train": "train.csv", "test": "test.csv"},
        "columns": {
            "id": "name",
            "question": "question",
            "choices": ["a", "b", "c"],
            "answer": "answer",
        },
    }


@pytest.fixture(scope="session")
def small(task: dict[str, Any], tiny_models: dict[str, Path]) -> Callable[..., Experiment]:
    """Makes an experiment of one quick cell; fields given are set instead."""

    def make(**fields: Any) -> Experiment:
        values: dict[str, Any] = {
            "name": "places & things",
            "task": task,
            "teacher": {
                "model": "hf:scripted-teacher",
                "shots": 1,
                "adjective_pairs": 1,
                "counterfactuals": "one",
            },
            "students": [{"model": f"hf:{tiny_models['llama']}"}],
            "conditions": [{"method": "multitask"}],
            "training": {
                "max_steps": 2,
                "batch_size": 4,
                "evaluations": 1,
                "precision": "fp32",
                "max_source_tokens": 100,
                "max_target_tokens": 60,
            },
            "prediction": {"max_new_tokens": 6, "precision": "fp32"},
        }
        return Experiment.model_validate({**values, **fields})

    return make


@pytest.fixture(scope="session")
def scripted() -> Callable[[pytest.MonkeyPatch], ScriptedGenerator]:
    """Puts the scripted teacher in place of any that an experiment names."""

    def put(patch: pytest.MonkeyPatch) -> ScriptedGenerator:
        generator = ScriptedGenerator(say_something)
        patch.setattr("distilwhy.generators.open.open_generator", lambda *_, **__: generator)
        return generator

    return put


@pytest.fixture
def teacher(
    scripted: Callable[[pytest.MonkeyPatch], ScriptedGenerator], monkeypatch: pytest.MonkeyPatch
) -> ScriptedGenerator:
    return scripted(monkeypatch)


def files_in(folder: Path) -> dict[str, int]:
    """Return when each file was written, in nanoseconds."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def written() -> Callable[[Path], dict[str, int]]:
    """Tells when each file in a folder was written."""
    return files_in
