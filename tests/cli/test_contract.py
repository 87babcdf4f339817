"""The stages chained by hand, with the commands that the README promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distilwhy.files import read_records, write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import Annotation, Prediction

# One row, laid out as the published teacher outputs are.
PUBLISHED = {
    "id": "c1",
    "question": "Where are boats kept?",
    "choices": ["pier", "shed", "lake", "bank", "roof"],
    "answer": "shed",
    "few_shot_positive_rationale": "A shed is dry, so boats are kept in a shed.",
    "few_shot_revision": "A shed keeps rain off, so boats are kept in a shed.",
    **{f"counterfactual_prompt_answer_{k}_rationale": f"Reason number {k}." for k in range(1, 6)},
}
NEEDED = {"accuracy", "n", "ci_low", "ci_high", "unparsed"}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.jsonl"
    rows = [{**PUBLISHED, "id": f"c{n}", "question": f"Where is boat {n} kept?"} for n in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_import_train_predict_evaluate(
    published: Path,
    folder: Path,
    tiny_models: dict[str, Path],
    call: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    called = call(
        *("import", "--task", "commonsense_qa", published, "--out", "annotations.jsonl", "--json")
    )
    assert called.code == 0, called.err
    result = json.loads(called.out)
    assert (result["task"], result["n"], result["rejected"]) == ("commonsense_qa", 4, 0)
    assert result["gates"]["counterfactual"]["n"] == 20
    assert [a.example.id for a in read_records(Path("annotations.jsonl"), Annotation)] == [
        "c0",
        "c1",
        "c2",
        "c3",
    ]

    train = ["train", "--annotations", "annotations.jsonl", "--method", "counterfactual"]
    train += ["--student", tiny_models["t5"], "--out", "a student", "--data", "revised"]
    train += ["--max-steps", "2", "--precision", "fp32", "--lora-rank", "2", "--seed", "3"]
    called = call(*train, "--json")
    assert called.code == 0, called.err
    summary = json.loads(called.out)
    assert summary["steps"] == 2
    assert 0 < summary["trainable_parameters"] < summary["parameters"]
    card = json.loads(Path("a student/distilwhy.json").read_text())
    assert (card["condition"]["method"], card["condition"]["data"]) == ("counterfactual", "revised")
    assert (card["seed"], card["weights"]) == (3, {"factual": 1.0, "counterfactual": 1.0})
    again = call(*train)
    assert again.code == 0
    assert "a student is up to date." in again.err
    assert "2 steps on 3 examples" in again.out

    predict = ["predict", "--student", "a student", "--task", "task.yaml"]
    predict += ["--out", "predictions.jsonl", "--max-new-tokens", "6", "--precision", "fp32"]
    called = call(*predict, "--limit", "3", "--json")
    assert called.code == 0, called.err
    result = json.loads(called.out)
    predictions = read_records(Path("predictions.jsonl"), Prediction)
    assert result["n"] == result["examples"] == len(predictions) == 3
    assert result["unparsed"] == sum(p.answer is None for p in predictions)
    assert result["precision"] == "fp32"
    assert {p.example.id for p in predictions} < {f"e{n}" for n in range(4)}
    assert predictions[0].example.choices[0] == "ice"

    called = call("evaluate", "--predictions", "predictions.jsonl", "--json")
    assert called.code == 0, called.err
    assert called.err == ""
    metrics = json.loads(called.out)
    assert set(metrics) >= NEEDED
    assert metrics["n"] == 3
    assert metrics["accuracy"] == sum(p.correct for p in predictions) / 3
    assert metrics["ci_low"] <= metrics["accuracy"] <= metrics["ci_high"]
    assert metrics["training"]["steps"] == 2
    assert metrics["prediction"]["generated_tokens"] > 0


def test_generate_writes_what_train_reads(
    folder: Path, tiny_models: dict[str, Path], call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    command = ["generate", "--task", "task.yaml", "--teacher", f"hf:{tiny_models['llama']}"]
    command += ["--out", "out/annotations.jsonl", "--limit", "2", "--shots", "1"]
    command += ["--steps", "rationale, counterfactual", "--counterfactuals", "one"]
    command += ["--max-new-tokens", "6", "--adjective-pairs", "1", "--json"]
    called = call(*command)
    assert called.code == 0, called.err
    result = json.loads(called.out)
    annotations = read_records(Path("out/annotations.jsonl"), Annotation)
    assert result["n"] == len(annotations) == 2
    assert result["cost"]["steps"]["counterfactual"]["asked"] == 2
    assert all(a.rationale and not a.revision and len(a.counterfactuals) == 1 for a in annotations)
    assert "teacher texts: 4/4" in called.err
    again = call(*command)
    assert (again.code, again.out) == (0, called.out)
    assert again.err == "out/annotations.jsonl is up to date.\n"


def test_generate_says_what_its_methods_brought(
    folder: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    def write(prompt: str, seed: int = 0) -> str:
        if prompt.endswith("The answer is"):
            return " fire. It burns." if "thing 0" in prompt.rsplit("\n\n", 1)[-1] else " sun. Hot."
        return " There is nothing to mend."

    generator = ScriptedGenerator(write, sample=write)
    monkeypatch.setattr("distilwhy.generators.open.open_generator", lambda *_, **__: generator)
    command = ["generate", "--task", "task.yaml", "--teacher", "scripted", "--out", "a.jsonl"]
    command += ["--labels", "teacher", "--rationales-from", "own_answer", "--limit", "4"]
    command += ["--samples", "2", "--temperature", "0.8", "--selection", "agreement"]
    called = call(*command, "--critique-rounds", "2", "--json")
    assert called.code == 0, called.err
    outcome = json.loads(called.out)["outcome"]
    answers = {"questions": 4, "answered": 4, "gold_known": 4, "agree_with_gold": 0}
    assert outcome["own_answers"] == answers
    assert outcome["own_rationales"] == {"samples": 8, "leading": 8, "questions": 4, "kept": 4}
    assert outcome["rounds"] == {"examples": {"1": 4}, "settled": 4}
    labels = [a.example.answer for a in read_records(Path("a.jsonl"), Annotation)]
    assert set(labels) <= {"fire", "sun"}


def test_another_source_for_a_task_file(
    folder: Path, student: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    head, row, *_ = Path("test.csv").read_text(encoding="utf-8-sig").splitlines()
    Path("more.csv").write_text(f"{head}\n{row.replace('e0', 'm0')}\n")
    command = ["predict", "--student", student, "--task", "task.yaml", "--source", "more.csv"]
    called = call(*command, "--out", "more.jsonl", "--max-new-tokens", "2", "--no-rationales")
    assert called.code == 0, called.err
    (prediction,) = read_records(Path("more.jsonl"), Prediction)
    assert prediction.example.id == "m0"
    assert prediction.rationale is None
    assert called.out == f"more.jsonl: 1 predictions, {prediction.answer is None:d} unparsed.\n"


def test_evaluate_reads_a_foreign_table(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "théirs.csv"
    lines = ["answer,label,why", "The answer is yes.,Yes,Because it is.", 'no,yes,"So, yes."']
    lines += ["So the answer is: No,no,", "perhaps,no,Who knows?"]
    path.write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    command = ["evaluate", "--predictions", path, "--answer-column", "answer"]
    command += ["--gold-column", "label", "--rationale-column", "why"]
    out = tmp_path / "figures.json"
    called = call(*command, "--json", "--out", out)
    assert called.code == 0, called.err
    metrics = json.loads(called.out)
    assert set(metrics) >= NEEDED
    assert (metrics["n"], metrics["accuracy"], metrics["unparsed"]) == (4, 0.5, 1)
    assert metrics["explanations"]["n"] == 3
    assert json.loads(out.read_text()) == metrics
    assert call(*command).out.startswith("accuracy 50.0% (95 % interval ")


def test_evaluate_writes_its_figures(call: Any, tmp_path: Path, student: Path) -> None:
    annotations = read_records(student.parent / "annotations.jsonl", Annotation)[:4]
    predictions = [
        Prediction(example=a.example, answer=a.example.answer if place else None, rationale="So.")
        for place, a in enumerate(annotations)
    ]
    write_records(tmp_path / "p.jsonl", predictions)
    out = tmp_path / "new folder" / "metrics.json"
    called = call("evaluate", "--predictions", tmp_path / "p.jsonl", "--out", out)
    assert called.code == 0, called.err
    assert called.out.startswith("accuracy 75.0% (95 % interval ")
    assert called.out.endswith("n = 4, 1 unparsed\n")
    assert json.loads(out.read_text())["accuracy"] == 0.75


def test_two_predictions_files_are_compared(
    folder: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.stats import binomtest

    monkeypatch.chdir(folder)
    example = {"question": "Where?", "choices": ["pier", "shed"], "answer": "shed"}
    rights = {"a": "1111011100", "b": "1000011001"}
    for name, marks in rights.items():
        rows = [
            Prediction.model_validate(
                {"example": {"id": str(n), **example}, "answer": ("pier", "shed")[int(mark)]}
            )
            for n, mark in enumerate(marks)
        ]
        write_records(Path(f"{name}.jsonl"), rows)
    called = call("evaluate", "--predictions", "a.jsonl", "--against", "b.jsonl", "--json")
    assert called.code == 0, called.err
    result = json.loads(called.out)
    assert (result["accuracy"], result["against"]["difference"]) == (0.7, pytest.approx(0.3))
    only = (result["against"]["only_first_right"], result["against"]["only_second_right"])
    assert only == (4, 1)
    assert result["against"]["p"] == pytest.approx(binomtest(4, 5, 0.5).pvalue)
    assert (
        "McNemar p = 0.375"
        in call("evaluate", "--predictions", "a.jsonl", "--against", "b.jsonl").out
    )
