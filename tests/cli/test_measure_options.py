"""``distilwhy evaluate --measure``: figures, files and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distilwhy.files import write_records
from distilwhy.pipeline.measuring import read_measures
from distilwhy.records import Annotation, Example, Prediction


def _prediction(number: int) -> Prediction:
    example = Example(
        id=f"q{number}", question="Which?", choices=("a cat", "a dog"), answer="a cat"
    )
    text = "The answer is a dog." if number < 3 else "Cats purr."
    return Prediction(example=example, answer="a cat", answer_text="a cat", rationale=text)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.jsonl"
    write_records(path, [_prediction(n) for n in range(10)])
    return path


def test_on_the_command_line(predictions: Path, call: Any, tmp_path: Path) -> None:
    done = call("evaluate", "--predictions", predictions, "--measure", "surface")
    assert done.code == 0, done.err
    assert "  states_answer 0.300 (95 % interval " in done.out
    out = tmp_path / "figures.json"
    done = call(
        *("evaluate", "--predictions", predictions, "--measure", "surface", "--limit", "5"),
        *("--out", out, "--json"),
    )
    result = json.loads(done.out)["explanations"]["surface"]
    assert result["n_items"] == 5
    assert len(read_measures(tmp_path / "figures.measures")[0].items) == 5
    assert json.loads(out.read_text())["n"] == 10, "the figures themselves are over all"


def test_mistakes_on_the_command_line(predictions: Path, call: Any) -> None:
    done = call("evaluate", "--predictions", predictions, "--limit", "5")
    assert (done.code, "no measure" in done.err) == (2, True)
    done = call("evaluate", "--predictions", predictions, "--measure", "surfaces")
    assert (done.code, "Did you mean 'surface'?" in done.err) == (2, True)


def test_what_training_repeats(predictions: Path, call: Any, tmp_path: Path) -> None:
    training = tmp_path / "training.jsonl"
    example = _prediction(0).example.model_copy(update={"id": "t"})
    write_records(training, [Annotation(example=example, teacher="t")])
    done = call("evaluate", "--predictions", predictions, "--training", training)
    assert "10 of 10 test questions nearly repeat a training question" in done.out
    done = call("evaluate", "--predictions", predictions, "--training", training, "--json")
    assert len(json.loads(done.out)["contamination"]["repeated"]) == 10


def test_a_table_without_questions_is_not_asked_about_them(call: Any, tmp_path: Path) -> None:
    table = tmp_path / "theirs.csv"
    table.write_text(
        "answer,gold,why,choices,question\na cat,a cat,Cats purr.,a cat|a dog,Which purrs?\n"
        "a dog,a dog,Dogs bark.,a cat|a dog,Which barks?\n"
    )
    columns = ["--answer-column", "answer", "--gold-column", "gold"]
    columns += ["--rationale-column", "why", "--choices-column", "choices"]
    command = ["evaluate", "--predictions", table, *columns]
    assert call(*command, "--measure", "surface").code == 0
    asked = [*command, "--measure", "consistency", "--scorer", "hf:nowhere"]
    done = call(*asked)
    assert (done.code, "--question-column" in done.err) == (2, True)
    done = call(*asked, "--question-column", "question")
    assert "--question-column" not in done.err, "now only the scorer is missing"
    assert done.code == 2


def test_files_that_are_not_there_are_found_before_any_measure(
    predictions: Path, call: Any, tmp_path: Path
) -> None:
    done = call(
        *("evaluate", "--predictions", predictions, "--measure", "surface", "--measure", "overlap"),
        *("--references", tmp_path / "none.jsonl", "--out", tmp_path / "figures.json"),
    )
    assert (done.code, "none.jsonl" in done.err) == (2, True)
    assert not (tmp_path / "figures.measures" / "surface.json").exists()
