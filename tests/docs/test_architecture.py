"""The Python examples of docs/architecture.md run and do what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"

CHECKS = """
import os, tempfile
from distilwhy.config import MethodSettings
from distilwhy.generators.base import generate_all
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import TeacherText
from distilwhy.tasks import load_task
from distilwhy.teaching.gates import gate
from distilwhy.training.methods import resolve_method

folder = Path(tempfile.mkdtemp())
(folder / "in.txt").write_text("why")
shout(folder / "in.txt", folder / "out.txt")
made = (folder / "out.txt").stat().st_mtime_ns
shout(folder / "in.txt", folder / "out.txt")
assert (folder / "out.txt").read_text() == "WHY!"
assert (folder / "out.txt").stat().st_mtime_ns == made
(folder / "in.txt").write_text("how")
shout(folder / "in.txt", folder / "out.txt")
assert (folder / "out.txt").read_text() == "HOW!"

examples = load_task("colours").load("train")
assert [e.answer for e in examples] == ["yellow", "white"]

method = resolve_method(MethodSettings(method="explain_twice", alpha=0.75))
assert method.weights == {"factual": 0.75, "explain": 0.25}

said = {"rationale": TeacherText(text="Lemons are."), "critique": TeacherText(text="Too short.")}
annotation = Annotation(example=examples[0], teacher="scripted", **said)
(row,) = critique_view(annotation, ViewOptions())
assert row.source.startswith("[critique] Question: Which colour has a ripe lemon?")
assert row.source.endswith("Lemons are.\\n") and row.target == "Too short."
assert critique_view(Annotation(example=examples[0], teacher="scripted"), ViewOptions()) == []

assert "short" in gate("It is.", examples[0], "yellow", "stop")
assert "short" not in gate("Ripe lemons have a yellow peel.", examples[0], "yellow", "stop")

loud = Loud(ScriptedGenerator(lambda prompt: f"because {prompt}"))
texts = generate_all(loud, ["a", "b"], Decoding())
assert [text.text for text in texts] == ["BECAUSE A", "BECAUSE B"]

given = [Prediction(example=examples[0], rationale=reason) for reason in ("x", "", None, "y")]
assert reason_given(given) == 0.5 and reason_given([]) is None
"""


def test_python_examples_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) == 7
    # In a process of its own, since the examples register themselves.
    code = "\n".join([*blocks, CHECKS])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_layers_are_those_that_the_import_test_enforces() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = re.search(r"know[s]? nothing of each other\.\n\n((?:    .+\n)+)", text)
    assert shown is not None
    source = (PAGE.parents[1] / "tests" / "test_imports.py").read_text(encoding="utf-8")
    layers = re.search(r"^LAYERS.*?= \((.*?)^\)", source, re.S | re.M)
    assert layers is not None
    enforced = re.findall(r'"(\w+)"', layers[1])
    named = re.findall(r"\w+", shown[1])
    assert named == [name for name in enforced if not name.startswith("__")]
