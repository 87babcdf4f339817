"""A whole experiment on a task whose training rows have no answers."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Experiment
from distilwhy.errors import DataError
from distilwhy.files import read_json, read_records, read_table
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline.beside import read_outcome
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.records import Annotation, Prediction

PLACES = ("shed", "lake", "attic")
TEACHER = {
    "model": "hf:scripted-teacher",
    "shots": 1,
    "adjective_pairs": 1,
    "counterfactuals": "one",
    "labels": "teacher",
}


@pytest.fixture
def unlabelled(tmp_path: Path, task: dict[str, Any]) -> dict[str, Any]:
    """A task of 9 training rows without an answer column, and 3 test rows with one."""
    for split, numbers in (("train", range(9)), ("test", range(20, 23))):
        with (tmp_path / f"{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            labelled = split == "test"
            writer.writerow(["name", "question", "a", "b", "c", *(["answer"] * labelled)])
            for number in numbers:
                asked = [f"{split}-{number}", f"Where is thing {number}?", *PLACES]
                writer.writerow([*asked, *(["lake"] * labelled)])
    return {**task, "unlabelled": ["train"]}


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> ScriptedGenerator:
    """A teacher that says where things are, but for thing 4."""

    def write(prompt: str) -> str:
        last = prompt.rsplit("\n\n", 1)[-1]
        if not last.endswith("The answer is"):
            return " It is kept there all the year.\n"
        number = int(last.split("thing ")[1].split("?")[0])
        return " hard to say.\n" if number == 4 else f" {PLACES[number % 3]}. It is there.\n"

    generator = ScriptedGenerator(write)
    monkeypatch.setattr("distilwhy.generators.open.open_generator", lambda *_, **__: generator)
    return generator


def test_students_learn_from_the_teachers_labels(
    small: Callable[..., Experiment],
    unlabelled: dict[str, Any],
    answering: ScriptedGenerator,
    tmp_path: Path,
) -> None:
    run = ExperimentRun(small(task=unlabelled, teacher=TEACHER), tmp_path / "run", tmp_path)
    run.run()
    annotations = read_records(run.annotations, Annotation)
    assert {a.example.id: a.example.answer for a in annotations} == {
        f"train-{number}": PLACES[number % 3] for number in range(9) if number != 4
    }
    assert all(annotation.labelled_by == "teacher" for annotation in annotations)
    assert all(annotation.rationale for annotation in annotations)
    outcome = read_outcome(run.drafts)
    assert outcome
    assert outcome.own_answers
    assert outcome.own_answers.model_dump() == {
        "questions": 9,
        "answered": 8,
        "gold_known": 0,
        "agree_with_gold": 0,
    }
    left_out = read_table(tmp_path / "run" / "teacher" / "rejects" / "annotations-unlabelled.jsonl")
    assert [row["place"] for _, row in left_out] == ["train-4"]
    (cell,) = run.cells
    assert read_json(cell.folder / "metrics.json")["n"] == 3
    majority = read_records(run.baseline("majority"), Prediction)
    assert {prediction.example.answer for prediction in majority} == {"lake"}
    report = run.report.read_text(encoding="utf-8")
    assert "Questions that the teacher answered readably" in report

    # A second run asks nothing again.
    asked = len(answering.calls)
    ExperimentRun(run.experiment, run.folder, run.base).run()
    assert len(answering.calls) == asked


def test_gold_labels_are_asked_for_in_one_sentence(
    small: Callable[..., Experiment],
    unlabelled: dict[str, Any],
    answering: ScriptedGenerator,
    tmp_path: Path,
) -> None:
    gold = {**TEACHER, "labels": "gold"}
    run = ExperimentRun(small(task=unlabelled, teacher=gold), tmp_path / "run", tmp_path)
    with pytest.raises(DataError, match=r"has no answer.*set labels: teacher"):
        run.run()
    assert answering.calls == []


def test_the_test_split_needs_gold_answers(
    small: Callable[..., Experiment],
    unlabelled: dict[str, Any],
    answering: ScriptedGenerator,
    tmp_path: Path,
) -> None:
    task = {**unlabelled, "unlabelled": ["train", "test"]}
    (tmp_path / "test.csv").write_text(
        (tmp_path / "test.csv").read_text().replace(",lake\n", ",\n")
    )
    task["source"] = {"train": "train.csv", "test": "train.csv"}
    run = ExperimentRun(small(task=task, teacher=TEACHER), tmp_path / "run", tmp_path)
    with pytest.raises(DataError, match=r"^9 examples have no right answer: .*Evaluate on a split"):
        run.run()
    assert answering.calls == []
