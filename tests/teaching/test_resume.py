"""Under every method of generation, a run stopped at any text goes on to the same result."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from distilwhy.config import TeachingSettings
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import Example
from distilwhy.teaching.annotate import AnnotationResult, annotate

CHOICES = ("stone", "water", "air")
EXAMPLES = [
    Example(id=f"q{number}", question=f"What is thing {number}?", choices=CHOICES, answer="water")
    for number in range(3)
]
SAMPLED = {"samples": 3, "temperature": 0.7}
METHODS: dict[str, dict[str, Any]] = {
    "rounds": {"critique_rounds": 4, "steps": ("rationale", "critique", "revision")},
    "samples": {**SAMPLED, "steps": ("rationale", "critique")},
    "likelihood": {**SAMPLED, "selection": "likelihood", "steps": ("rationale",)},
    "agreement": {
        **SAMPLED,
        "selection": "agreement",
        "rationales_from": "own_answer",
        "steps": ("rationale", "critique"),
    },
    "rejection": {"rationales_from": "own_answer", "rejected": "label"},
    "labels": {**SAMPLED, "labels": "teacher", "counterfactuals": "one", "steps": ("rationale",)},
    "own steps": {"steps": ("rationale",), "own_steps": ({"name": "hint", "prompts": ""},)},
}
HINT = {
    "version": 1,
    "family": "multiple_choice",
    "block": "$question\n$rationale\n$First hint:",
    "worked_examples": [
        {
            "question": "What burns?",
            "choices": ["wood", "ice"],
            "answer": "wood",
            "given": {"rationale": "Wood burns."},
            "text": "Think of a stove.",
        }
    ],
}


class Killed(BaseException):
    """Stands for a kill."""


def teacher(texts_left: int | None = None) -> ScriptedGenerator:
    """Return a teacher whose texts depend on every byte asked, and that may die."""
    left = texts_left

    def write(prompt: str, seed: int = 0) -> str:
        nonlocal left
        if left is not None:
            if left == 0:
                raise Killed
            left -= 1
        digest = hashlib.sha256(f"{seed} {prompt}".encode()).hexdigest()
        number = int(digest, 16)
        text = " ".join("abcdefghijklmnop"[int(digit, 16)] * 3 for digit in digest[:8])
        if prompt.endswith("The answer is"):
            return f" {CHOICES[number % 3]}. {text}.\n"
        if prompt.endswith("critique:") and number % 3 == 0:
            return " There is nothing to mend.\n"
        return f" {text}.\n"

    return ScriptedGenerator(write, lambda prompt, text: -float(len(text)), sample=write)


def settings(method: str, folder: Path) -> TeachingSettings:
    fields = {"shots": 1, "adjective_pairs": 2, **METHODS[method]}
    if method == "own steps":
        path = folder / "hint.yaml"
        path.write_text(yaml.safe_dump(HINT), encoding="utf-8")
        fields["own_steps"] = ({"name": "hint", "prompts": str(path)},)
    return TeachingSettings.model_validate(fields)


def run(generator: ScriptedGenerator, method: str, path: Path) -> AnnotationResult:
    chosen = settings(method, path.parent)
    return annotate(EXAMPLES, generator, chosen, seed=0, store_path=path)


@pytest.mark.parametrize("method", METHODS)
def test_stopped_at_any_text_the_result_is_the_same(tmp_path: Path, method: str) -> None:
    unbroken = teacher()
    whole = run(unbroken, method, tmp_path / "whole.jsonl")
    texts = len(unbroken.calls)
    assert texts >= 6
    for survived in range(texts):
        path = tmp_path / f"{survived}.jsonl"
        stopped, resumed = teacher(survived), teacher()
        with pytest.raises(Killed):
            run(stopped, method, path)
        result = run(resumed, method, path)
        assert len(resumed.calls) == texts - survived
        assert sorted([*stopped.calls[:survived], *resumed.calls]) == sorted(unbroken.calls)
        assert result.annotations == whole.annotations
        assert (result.counts, result.outcome) == (whole.counts, whole.outcome)


def all_prompts(folder: Path) -> str:
    prompts = []
    for method in METHODS:
        generator = teacher()
        run(generator, method, folder / f"{method}.jsonl")
        prompts += [method, *generator.calls]
    return hashlib.sha256(repr(prompts).encode()).hexdigest()


CODE = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_resume
print(test_resume.all_prompts(Path({folder!r})))
"""


def test_prompts_are_byte_equal_in_other_processes(tmp_path: Path) -> None:
    digests = {all_prompts(tmp_path)}
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        code = CODE.format(tests=str(Path(__file__).parent), folder=str(folder))
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1
