"""Odd names, odd formats and outputs in odd places."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distilwhy.cli.main import main
from distilwhy.files import read_records, write_records
from distilwhy.records import Annotation, Prediction

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def predictions(annotations: Path) -> list[Prediction]:
    given = read_records(annotations, Annotation)[:2]
    return [Prediction(example=a.example, answer=a.example.answer) for a in given]


def test_a_name_that_is_not_text(predictions: list[Prediction], call: Any) -> None:
    name = os.fsdecode(b"odd\xff.jsonl")
    write_records(Path(name), predictions)
    called = call("evaluate", "--predictions", name, "--out", f"{name}.figures.json")
    assert called.code == 0, called.err
    assert json.loads(Path(f"{name}.figures.json").read_text())["accuracy"] == 1
    manifest = json.loads(Path(f"{name}.figures.json.manifest.json").read_text())
    assert manifest["inputs"]["predictions"]["path"] == name


def test_a_name_that_the_terminal_cannot_show(
    student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "ascii", write_through=True))
    command = ["distilwhy", "predict", "--student", str(student), "--task", "task.yaml"]
    command += ["--out", "é.jsonl", "--limit", "1", "--max-new-tokens", "2"]
    monkeypatch.setattr(sys, "argv", [*command, "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert json.loads(printed.getvalue())["out"] == "é.jsonl"
    printed.seek(0)
    printed.truncate()
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="0"):
        main()
    assert printed.getvalue().startswith(b"\\xe9.jsonl: 1 predictions, ")


def test_a_name_that_is_too_long(refused: Refused, annotations: Path) -> None:
    long = "x" * 300
    for arguments in (
        ("evaluate", "--predictions", long),
        ("evaluate", "--predictions", annotations, "--out", long),
        ("predict", "--student", long, "--task", "task.yaml", "--out", "p.jsonl"),
        ("train", "--annotations", annotations, "--student", long, "--out", "s"),
    ):
        assert "name too long" in refused(*arguments)


def test_nothing_is_written_into_what_is_read(refused: Refused, student: Path) -> None:
    inside = student / "config.json"
    before = inside.read_bytes()
    said = refused("predict", "--student", student, "--task", "task.yaml", "--out", inside)
    assert f"{inside} lies in {student}, from which the output is made." in said
    assert inside.read_bytes() == before
    Path("published/shard_0").mkdir(parents=True)
    said = refused("import", "published", "--out", "published/shard_0/a.jsonl")
    assert "published/shard_0/a.jsonl lies in published" in said


def test_examples_annotated_twice(
    refused: Refused, annotations: Path, tiny_models: dict[str, Path]
) -> None:
    lines = annotations.read_text().splitlines()
    Path("twice.jsonl").write_text("\n".join([*lines, lines[0], lines[3]]))
    command = ("train", "--annotations", "twice.jsonl", "--student", tiny_models["llama"])
    said = refused(*command, "--out", "s")
    assert "twice.jsonl: example 'q0' is annotated 2 times" in said
    assert "twice.jsonl: example 'q3' is annotated 2 times" in said
    assert not Path("s/distilwhy.json").exists()


def test_a_table_is_no_task(refused: Refused, student: Path) -> None:
    rows = [{"id": "e9", "question": "Hot?", "a": "ice", "b": "fire", "c": "sun", "answer": "fire"}]
    pq.write_table(pa.Table.from_pylist(rows), "rows.parquet")
    for table in ("test.csv", "rows.parquet"):
        said = refused("predict", "--student", student, "--task", table, "--out", "p.jsonl")
        assert f"{table} is a table, not a task file." in said
    command = ("predict", "--student", student, "--task", "mini", "--source", "test.csv")
    said = refused(*command, "--out", "p.jsonl")
    assert "The task 'mini' brings its own rows" in said


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_sources_of_other_formats(form: str, student: Path, call: Any) -> None:
    rows = [{"id": "e9", "question": "Hot?", "a": "ice", "b": "fire", "c": "sun", "answer": "fire"}]
    rows.append({**rows[0], "id": "e10"})
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), "rows.parquet")
    else:
        Path("rows.jsonl").write_bytes("\r\n".join(map(json.dumps, rows)).encode("utf-8-sig"))
    command = ["predict", "--student", student, "--task", "task.yaml", "--source", f"rows.{form}"]
    called = call(*command, "--out", "p.jsonl", "--max-new-tokens", "2", "--no-rationales")
    assert called.code == 0, called.err
    found = read_records(Path("p.jsonl"), Prediction)
    assert [(p.example.id, p.example.answer) for p in found] == [("e9", "fire"), ("e10", "fire")]


def test_a_failed_command_keeps_what_was_there(
    student: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("predict", "--student", student, "--task", "task.yaml", "--out", "p.jsonl")
    assert call(*command, "--limit", "1", "--max-new-tokens", "2").code == 0
    before = Path("p.jsonl").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    called = call(*command, "--limit", "2", "--max-new-tokens", "2")
    assert called.code == 2
    assert "could not be written: No space left on device." in called.err
    assert "what was finished before is kept" in called.err
    assert Path("p.jsonl").read_bytes() == before
    assert [path for path in Path().iterdir() if path.name.startswith(".p")] == []
