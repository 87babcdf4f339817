"""Each stage alone, from files to files: done once, done again when what shapes it changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import (
    Condition,
    Experiment,
    PredictionSettings,
    TeacherSettings,
    TrainingSettings,
)
from distilwhy.errors import ConfigError, DataError, ModelError
from distilwhy.files import read_json, read_records, write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.manifests import read_manifest
from distilwhy.pipeline import stages
from distilwhy.pipeline.beside import read_cost, read_costs
from distilwhy.records import Annotation, Example, Prediction, TrainingSummary
from distilwhy.tasks import load_task

TEACHER = TeacherSettings(
    model="hf:scripted-teacher", shots=1, adjective_pairs=1, counterfactuals="one"
)

Written = Callable[[Path], dict[str, int]]


@pytest.fixture
def annotated(
    table: Path, task: dict[str, Any], teacher: ScriptedGenerator, tmp_path: Path
) -> Path:
    out = tmp_path / "made" / "annotations.jsonl"
    stages.generate(task, TEACHER, out, limit=6, base=table)
    teacher.calls.clear()
    return out


@pytest.fixture
def settings(small: Callable[..., Experiment]) -> TrainingSettings:
    return small().training


def test_generate_writes_texts_costs_and_what_it_was_made_of(
    table: Path, task: dict[str, Any], teacher: ScriptedGenerator, tmp_path: Path
) -> None:
    out = tmp_path / "new folder" / "annotations.jsonl"
    made = stages.generate(task, TEACHER, out, limit=6, seed=5, base=table)
    assert read_records(out, Annotation) == made
    assert len(made) == 6
    assert {annotation.example.id.split("-")[0] for annotation in made} == {"train"}
    manifest = read_manifest(out)
    assert (manifest.stage, manifest.seed) == ("generate", 5)
    assert manifest.settings["teacher"]["shots"] == 1
    cost = read_cost(out)
    assert cost is not None
    assert {step: part.texts for step, part in cost.steps.items()} == dict.fromkeys(
        ("rationale", "counterfactual", "critique", "revision"), 6
    )
    stored = (out.parent / "annotations.texts.jsonl").read_text().splitlines()
    assert len(stored) == len(teacher.calls) == 24


def test_generate_asks_again_only_for_what_changed(
    annotated: Path,
    table: Path,
    task: dict[str, Any],
    teacher: ScriptedGenerator,
    written: Written,
) -> None:
    before = written(annotated.parent)
    stages.generate(task, TEACHER, annotated, limit=6, base=table)
    assert written(annotated.parent) == before
    assert teacher.calls == []
    # More examples: the texts of those that were drawn before are in the store.
    more = stages.generate(task, TEACHER, annotated, base=table)
    assert len(more) == 12
    assert len(teacher.calls) == 24
    # Another token limit may give other texts, so all are asked anew.
    teacher.calls.clear()
    longer = TEACHER.model_copy(update={"max_new_tokens": 50})
    stages.generate(task, longer, annotated, base=table)
    assert len(teacher.calls) == 48


def test_settings_that_change_no_text_do_no_work_again(
    annotated: Path,
    table: Path,
    task: dict[str, Any],
    teacher: ScriptedGenerator,
    written: Written,
) -> None:
    before = written(annotated.parent)
    reached = {"batch_size": 3, "concurrency": 5, "timeout": 7.0, "api_key_file": "key.txt"}
    stages.generate(task, TEACHER.model_copy(update=reached), annotated, limit=6, base=table)
    assert written(annotated.parent) == before
    assert not {"batch_size", "api_key_file"} & read_manifest(annotated).settings["teacher"].keys()
    other = TEACHER.model_copy(update={"precision": "bf16"})
    stages.generate(task, other, annotated, limit=6, base=table)
    assert written(annotated.parent) != before
    assert teacher.calls == []


def test_a_generator_that_is_given_is_used(
    table: Path, task: dict[str, Any], teacher: ScriptedGenerator, tmp_path: Path
) -> None:
    own = ScriptedGenerator(lambda prompt: " It is so.\n", name="own")
    out = tmp_path / "a.jsonl"
    made = stages.generate(task, TEACHER, out, limit=2, base=table, generator=own)
    assert teacher.calls == []
    assert [a.rationale.text for a in made if a.rationale] == ["It is so."] * 2


def test_an_output_changed_by_hand_is_made_again(
    annotated: Path, table: Path, task: dict[str, Any]
) -> None:
    content = annotated.read_bytes()
    annotated.write_bytes(content.replace(b"kept", b"lost"))
    stages.generate(task, TEACHER, annotated, limit=6, base=table)
    assert annotated.read_bytes() == content


def test_train_predict_evaluate_and_again(
    annotated: Path,
    table: Path,
    task: dict[str, Any],
    tiny_models: dict[str, Path],
    settings: TrainingSettings,
    written: Written,
    tmp_path: Path,
) -> None:
    student, out, figures = tmp_path / "s", tmp_path / "p" / "p.jsonl", tmp_path / "m.json"
    asking = PredictionSettings(max_new_tokens=5, precision="fp32")

    def all_three() -> tuple[TrainingSummary, list[Prediction], Any]:
        return (
            stages.train(
                annotated,
                student,
                student=f"hf:{tiny_models['t5']}",
                condition=Condition(method="answer_only"),
                settings=settings,
            ),
            stages.predict(student, task, out, limit=4, settings=asking, base=table),
            stages.evaluate(out, figures),
        )

    summary, predictions, metrics = first = all_three()
    assert summary.examples + summary.held_out == 6
    assert TrainingSummary.model_validate(read_json(student / "training.json")) == summary
    assert read_records(out, Prediction) == predictions
    assert len(predictions) == metrics.n == 4
    assert all(p.example.id.startswith("test-") for p in predictions)
    costs = read_costs(out)
    assert costs.training == metrics.training == summary
    assert costs.prediction == metrics.prediction
    assert json.loads(figures.read_text())["accuracy"] == metrics.accuracy
    assert set(read_manifest(student).inputs) == {"annotations", "student"}
    assert set(read_manifest(out).inputs) == {"student"}

    before = written(tmp_path)
    assert all_three() == first
    assert written(tmp_path) == before


def test_a_base_model_that_changed_is_trained_again(
    annotated: Path, tiny_models: dict[str, Path], settings: TrainingSettings, tmp_path: Path
) -> None:
    base, out = tmp_path / "base", tmp_path / "s"
    shutil.copytree(tiny_models["llama"], base)

    def train() -> int:
        stages.train(
            annotated, out, student=f"hf:{base}", condition="answer_only", settings=settings
        )
        return (out / "model.safetensors").stat().st_mtime_ns

    first = train()
    assert train() == first
    (base / "README.md").write_text("Another version.")
    assert train() > first


def test_evaluate_without_a_file_writes_none(tmp_path: Path, written: Written) -> None:
    path = tmp_path / "theirs.jsonl"
    examples = [Example(id=i, question="q?", choices=("x", "y"), answer="x") for i in "abcd"]
    answers = ("x", "x", "y", None)
    write_records(
        path, [Prediction(example=e, answer=a) for e, a in zip(examples, answers, strict=True)]
    )
    before = written(tmp_path)
    metrics = stages.evaluate(path)
    assert (metrics.n, metrics.accuracy, metrics.unparsed) == (4, 0.5, 1)
    assert metrics.training is metrics.prediction is None
    assert written(tmp_path) == before


def test_baselines_know_the_training_answers_only(annotated: Path, tmp_path: Path) -> None:
    labels = [Example(id=i, question="q?", choices=("no", "yes"), answer="yes") for i in "abc"]
    training = [Annotation(example=e, teacher="t") for e in labels]
    write_records(annotated, training)
    asked = [
        Example(id=f"t{n}", question="q?", choices=("no", "yes"), answer="no") for n in range(20)
    ]
    for name in stages.BASELINES:
        stages.baseline(name, annotated, asked, tmp_path / f"{name}.jsonl", seed=1)
    majority = read_records(tmp_path / "majority.jsonl", Prediction)
    assert {prediction.answer for prediction in majority} == {"yes"}
    guessed = read_records(tmp_path / "random.jsonl", Prediction)
    assert {prediction.answer for prediction in guessed} == {"no", "yes"}


def test_the_teacher_is_asked_itself_once(
    table: Path, task: dict[str, Any], teacher: ScriptedGenerator, tmp_path: Path
) -> None:
    examples = load_task(task, table).load("test")
    out = tmp_path / "answers.jsonl"
    answers = stages.ask(TEACHER, examples, out, seed=0)
    assert [answer.answer for answer in answers] == ["shed"] * 6
    assert stages.ask(TEACHER, examples, out, seed=0) == answers
    assert len(teacher.calls) == 6
    assert len(stages.ask(TEACHER, examples[:3], out, seed=0)) == 3
    assert len(teacher.calls) == 6, "their texts are in the store"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda t, b, o: stages.generate(t, TEACHER, o, limit=0, base=b),
            ConfigError,
            "limit is 0",
        ),
        (lambda t, b, o: stages.generate(t, TEACHER, o.parent, base=b), DataError, "is a folder"),
        (lambda t, b, o: stages.generate(t, TEACHER, o, split="tset", base=b), ConfigError, "tset"),
        (lambda t, b, o: stages.predict(o / "none", t, o, base=b), ModelError, "is not a folder"),
        (lambda t, b, o: stages.predict(b, t, o, base=b), ModelError, "not a trained student"),
        (lambda t, b, o: stages.train(b / "no.jsonl", o, student="x"), DataError, "no.jsonl"),
        (lambda t, b, o: stages.evaluate(b / "no.jsonl", o), DataError, "no.jsonl"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    call: Callable[[dict[str, Any], Path, Path], Any],
    error: type[Exception],
    words: str,
    task: dict[str, Any],
    table: Path,
    teacher: ScriptedGenerator,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=words):
        call(task, table, tmp_path / "out.jsonl")
    assert teacher.calls == []
    assert not (tmp_path / "out.jsonl.manifest.json").exists()


def test_texts_that_are_mostly_empty_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = ScriptedGenerator(lambda prompt: "")
    stages.generate("mini", "scripted", tmp_path / "a.jsonl", limit=2, generator=silent)
    said = capsys.readouterr().err
    assert "Most texts are empty: 2 of 2 rationale, 8 of 8 counterfactual." in said
