"""Whole experiments from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Experiment

EXPERIMENT = """\
name: cold things
task: task.yaml
annotations: {annotations}
students: [{{model: "hf:{model}", name: tiny one}}]
conditions: [{{method: answer_only}}]
limits: {{train: 6, test: 3}}
training: {{max_steps: 1, held_out: 0, precision: fp32}}
prediction: {{max_new_tokens: 4, precision: fp32}}
"""


def test_run_and_run_again(
    folder: Path,
    annotations: Path,
    tiny_models: dict[str, Path],
    call: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = EXPERIMENT.format(annotations=annotations, model=tiny_models["llama"])
    (folder / "my experiment.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    # The task lies beside the experiment file, the outputs below the working folder.
    called = call("run", folder / "my experiment.yaml", "--json")
    assert called.code == 0, called.err
    report = Path("runs") / "my experiment" / "report.html"
    assert json.loads(called.out) == {"report": str(report)}
    assert report.is_file()
    assert "Cell 1 of 1: answer_only : unrevised." in called.err
    made = report.stat().st_mtime_ns
    again = call("run", folder / "my experiment.yaml")
    assert (again.code, again.out) == (0, f"Report: {report}\n")
    assert "student is up to date." in again.err
    assert report.stat().st_mtime_ns == made
    report.unlink()
    called = call("report", folder / "my experiment.yaml", "--json")
    assert (called.code, json.loads(called.out)) == (0, {"report": str(report)})
    assert report.is_file()
    next(Path("runs").rglob("seed-0/predictions.jsonl")).unlink()
    called = call("report", folder / "my experiment.yaml")
    assert called.code == 2
    assert "predictions.jsonl does not exist" in called.err


def test_demo_says_what_it_will_do(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run(experiment: Experiment, out: Path) -> Path:
        asked.append((experiment, out))
        return out / "report.html"

    opened: list[str] = []
    monkeypatch.setattr("distilwhy.pipeline.experiment.run", run)
    monkeypatch.setattr("webbrowser.open", opened.append)
    called = call("demo", "--out", tmp_path / "a demo", "--json")
    assert called.code == 0
    assert json.loads(called.out) == {"report": str(tmp_path / "a demo" / "report.html")}
    ((experiment, out),) = asked
    assert out == tmp_path / "a demo"
    limits = experiment.limits
    assert f"on {limits.train} training and {limits.test} test questions" in called.err
    assert "SmolLM2-135M-Instruct" in called.err
    for condition in experiment.conditions:
        shown = " ".join(called.err.split())
        assert f"{condition.method} on {condition.data} data" in shown
    assert opened == []
    assert call("demo", "--out", tmp_path / "a demo", "--open").code == 0
    assert opened == [(tmp_path / "a demo" / "report.html").resolve().as_uri()]
