"""The evaluate stage: from predictions or their file to the content of metrics.json."""

from __future__ import annotations

import json

import pytest

from distilwhy.errors import UserError
from distilwhy.evaluation.evaluate import evaluate, evaluate_file
from distilwhy.evaluation.metrics import Metrics
from distilwhy.files import write_records
from distilwhy.records import Example, Prediction, PredictionSummary


def asked(name, answer, gold="yes", rationale=None) -> Prediction:
    example = Example(id=name, question="?", choices=("yes", "no"), answer=gold, family="yes_no")
    return Prediction(example=example, answer=answer, rationale=rationale)


PREDICTIONS = [
    asked("1", "yes", rationale="It is so. The answer is yes."),
    asked("2", "no"),
    asked("3", None),
    asked("4", "no", gold="no"),
]


def test_metrics():
    cost = PredictionSummary(
        examples=4,
        seconds=2.0,
        generated_tokens=20,
        tokens_per_second=10.0,
        peak_memory_mb=100.0,
        precision="fp32",
    )
    metrics = evaluate(PREDICTIONS, prediction=cost)
    assert (metrics.n, metrics.accuracy, metrics.unparsed) == (4, 0.5, 1)
    assert 0 <= metrics.ci_low < 0.5 < metrics.ci_high <= 1
    assert metrics.classes["no"].accuracy == 1.0
    assert metrics.explanations.n == 1
    assert metrics.prediction == cost
    assert metrics.training is None


def test_metrics_survive_json():
    predictions = [prediction for prediction in PREDICTIONS if prediction.example.answer == "yes"]
    metrics = evaluate(predictions)
    text = metrics.model_dump_json(exclude_none=True)
    assert Metrics.model_validate_json(text) == metrics
    content = json.loads(text)
    assert content["n"] == 3
    assert content["unparsed"] == 1
    assert {"accuracy", "ci_low", "ci_high"} <= content.keys()


def test_a_file_gives_the_same_as_its_predictions(tmp_path):
    write_records(tmp_path / "predictions.jsonl", PREDICTIONS)
    assert evaluate_file(tmp_path / "predictions.jsonl", seed=2) == evaluate(PREDICTIONS, seed=2)


def test_no_explanations():
    assert evaluate(PREDICTIONS[1:]).explanations is None


def test_unknown_choices_leave_classes_out():
    assert evaluate(PREDICTIONS, choices_known=False).classes == {}


def test_doubled_ids_name_the_file(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_records(path, [*PREDICTIONS, asked("2", "yes")])
    with pytest.raises(UserError, match=r"predictions\.jsonl: example '2' is answered 2 times\."):
        evaluate_file(path)


def test_unknown_answers_in_a_file(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_records(path, [asked("1", "yes", gold=None), asked("2", "yes")])
    with pytest.raises(UserError, match="1 example has no right answer: '1'"):
        evaluate_file(path)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file(tmp_path, content):
    path = tmp_path / "predictions.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="is empty"):
        evaluate_file(path)
