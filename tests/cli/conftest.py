"""Calling the command line in this process, and a task, annotations and student to call it with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from distilwhy.cli.main import main
from distilwhy.config import TrainingSettings
from distilwhy.files import write_records
from distilwhy.pipeline import stages
from distilwhy.records import Annotation

TASK = """\
name: temperature
source: {train: train.csv, test: test.csv}
columns: {id: id, question: question, choices: [a, b, c], answer: answer}
"""
HEADER = ["id,question,a,b,c,answer"]
TRAIN = [f"t{n},Which thing {n} is cold?,ice {n},fire,sun,ice {n}" for n in range(6)]
TEST = [f"e{n},Which thing {n} is hot?,ice,fire {n},snow,fire {n}" for n in range(4)]


@dataclass(frozen=True)
class Called:
    """What a command did."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls ``distilwhy`` with arguments."""

    def run(*arguments: object) -> Called:
        monkeypatch.setattr(sys, "argv", ["distilwhy", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        output = capsys.readouterr()
        assert isinstance(code, int)
        return Called(code, output.out, output.err)

    return run


@pytest.fixture
def refused(call: Call) -> Callable[..., str]:
    """Calls a command that must be refused, and returns what it says on standard error."""

    def run(*arguments: object) -> str:
        called = call(*arguments)
        assert called.code == 2, called
        assert called.out == ""
        assert "Traceback" not in called.err
        return called.err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with spaces and accents in its name, that holds a task as spreadsheets save it."""
    place = tmp_path / "Zoë's tâche"
    place.mkdir()
    for split, rows in (("train", TRAIN), ("test", TEST)):
        text = "\ufeff" + "\r\n".join([*HEADER, *rows]) + "\r\n"
        (place / f"{split}.csv").write_bytes(text.encode())
    (place / "task.yaml").write_text(TASK)
    return place


@pytest.fixture(scope="session")
def annotations(
    tiny_annotations: list[Annotation], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An annotations file."""
    path = tmp_path_factory.mktemp("given") / "annotations.jsonl"
    write_records(path, tiny_annotations)
    return path


@pytest.fixture(scope="session")
def student(annotations: Path, tiny_models: dict[str, Path]) -> Path:
    """A student trained for one step."""
    out = annotations.parent / "student"
    settings = TrainingSettings(max_steps=1, held_out=0, precision="fp32")
    stages.train(annotations, out, student=f"hf:{tiny_models['llama']}", settings=settings)
    return out
