"""Sweeps: chosen by held-out training rows, finished trials kept, faults told in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from distilwhy.cli.sweep import table
from distilwhy.config import (
    Condition,
    RaySettings,
    StudentSettings,
    TrainingSettings,
    load_experiment,
)
from distilwhy.errors import ConfigError, StageError
from distilwhy.files import read_records, write_records
from distilwhy.pipeline import stages
from distilwhy.pipeline.sweep import Sweep, combinations, sweep
from distilwhy.pipeline.trial import Trial
from distilwhy.records import Annotation

SETTINGS = TrainingSettings(epochs=4, held_out=0.2, batch_size=4, precision="fp32")
RATES = {"learning_rate": ["1e-4", "1e-2", "3e-3"]}


@pytest.fixture
def annotations(tiny_annotations: list[Annotation], tmp_path: Path) -> Path:
    path = tmp_path / "annotations.jsonl"
    write_records(path, tiny_annotations)
    return path


@pytest.fixture
def student(tiny_models: dict[str, Path]) -> StudentSettings:
    return StudentSettings(model=f"hf:{tiny_models['llama']}")


def losses(found: Sweep) -> dict[Any, float | None]:
    return {trial.values["learning_rate"]: trial.held_out_loss for trial in found.trials}


def test_the_lowest_held_out_loss_is_chosen_and_can_be_used(
    annotations: Path, student: StudentSettings, tmp_path: Path
) -> None:
    found = sweep(annotations, tmp_path / "s", RATES, student=student, settings=SETTINGS)
    expected = {}
    for rate in (1e-4, 1e-2, 3e-3):
        summary = stages.train(
            annotations,
            tmp_path / f"alone-{rate}",
            student=student,
            condition=Condition(method="multitask"),
            settings=SETTINGS.model_copy(update={"learning_rate": rate}),
        )
        curve = [p.held_out_loss for p in summary.curve if p.held_out_loss is not None]
        expected[rate] = min(curve)
    assert losses(found) == expected
    assert found.chosen == {"learning_rate": min(expected, key=lambda rate: expected[rate])}
    assert found.edges == ("learning_rate",)
    # No weights of trials are kept; what was chosen is, without the length of a trial.
    assert not list((tmp_path / "s").rglob("*.safetensors"))
    chosen = yaml.safe_load(Path(found.settings).read_text())
    given = {"held_out": 0.2, "batch_size": 4, "precision": "fp32"}
    assert chosen == {**given, **found.chosen}
    experiment = {
        "task": "mini",
        "annotations": "a",
        "students": [{"model": "m"}],
        "conditions": [{}],
        "training": {"file": "s/training.yaml", "batch_size": 2},
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(experiment))
    training = load_experiment(tmp_path / "e.yaml").training
    assert training == TrainingSettings(**{**chosen, "batch_size": 2})


def test_finished_trials_are_not_run_again(
    annotations: Path, student: StudentSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[float] = []
    train = stages.train

    def seen(*args: Any, **kwargs: Any) -> Any:
        trained.append(kwargs["settings"].learning_rate)
        if stop and len(trained) == 2:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    stop = True
    monkeypatch.setattr(stages, "train", seen)
    with pytest.raises(KeyboardInterrupt):
        sweep(annotations, tmp_path / "s", RATES, student=student, settings=SETTINGS)
    stop = False
    first = sweep(annotations, tmp_path / "s", RATES, student=student, settings=SETTINGS)
    assert trained == [1e-4, 1e-2, 1e-2, 3e-3]
    again = sweep(annotations, tmp_path / "s", RATES, student=student, settings=SETTINGS)
    assert again == first
    assert len(trained) == 4
    # Other data, and all is tried anew.
    write_records(annotations, read_records(annotations, Annotation)[:12])
    sweep(annotations, tmp_path / "s", RATES, student=student, settings=SETTINGS)
    assert len(trained) == 7


def test_a_trial_that_stops_is_told_and_not_chosen(
    annotations: Path, student: StudentSettings, tmp_path: Path
) -> None:
    values = {"learning_rate": [1e20, 1e-2]}
    found = sweep(annotations, tmp_path / "s", values, student=student, settings=SETTINGS)
    stopped, whole = found.trials
    assert found.chosen == {"learning_rate": 1e-2}
    assert stopped.held_out_loss is None
    assert whole.stopped is None
    told = str(stopped.stopped)
    assert "its rows are in" in told
    assert Path(told.rpartition(" in ")[2]).is_file()
    with pytest.raises(StageError, match="Each of the 1 trials stopped"):
        sweep(
            annotations,
            tmp_path / "t",
            {"learning_rate": [1e20]},
            student=student,
            settings=SETTINGS,
        )


@pytest.mark.parametrize(
    ("values", "changes", "told"),
    [
        ({}, {}, "needs values"),
        ({"learning_rat": [1]}, {}, "unknown field 'learning_rat'"),
        ({"seed": [1, 2]}, {}, "seed cannot be swept"),
        ({"learning_rate": ["fast"]}, {}, "learning_rate: input should be a valid number"),
        ({"learning_rate": [1e-4]}, {"held_out": 0.0}, "chooses by held-out rows"),
        ({"schedule": ["linear", "nosuch"]}, {}, "training.schedule 'nosuch' cannot be used"),
        ({"epochs": [1, 2]}, {"max_steps": 2}, "epochs cannot be swept beside max_steps"),
        ({"epochs": [1, 2], "max_steps": [2, 3]}, {}, "epochs cannot be swept beside max_steps"),
    ],
)
def test_what_cannot_be_swept(
    values: dict[str, list[Any]],
    changes: dict[str, Any],
    told: str,
    annotations: Path,
    student: StudentSettings,
    tmp_path: Path,
) -> None:
    settings = SETTINGS.model_copy(update=changes)
    with pytest.raises(ConfigError, match=told):
        sweep(annotations, tmp_path / "s", values, student=student, settings=settings)
    assert not (tmp_path / "s" / "trials").exists()


def test_what_trials_need_of_ray_is_refused_without_it(
    annotations: Path, student: StudentSettings, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has no effect") as caught:
        sweep(annotations, tmp_path / "s", RATES, student=student, ray=RaySettings(workers=3))
    assert "--engine ray" in caught.value.remedy


def test_a_value_written_in_two_ways_is_one_trial() -> None:
    values = {"learning_rate": ["1e-3", "0.001", 1e-3], "batch_size": [4, "4", 8]}
    tried = [values for _, values in combinations(values, SETTINGS)]
    assert tried == [
        {"learning_rate": 1e-3, "batch_size": 4},
        {"learning_rate": 1e-3, "batch_size": 8},
    ]


def test_a_chosen_trial_that_collapsed_is_told_as_both() -> None:
    trials = (
        Trial(values={"batch_size": 4}, held_out_loss=2.0, collapsed=("its loss is high",)),
        Trial(values={"batch_size": 8}, held_out_loss=3.0, stopped="A loss is no number"),
    )
    found = Sweep(trials=trials, chosen={"batch_size": 4}, settings="training.yaml")
    _, first, second, *_ = table(found).splitlines()
    assert first.endswith("chosen; collapsed: its loss is high")
    assert second.endswith("A loss is no number")


def test_the_command_prints_a_table_or_json(
    annotations: Path, student: StudentSettings, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "distilwhy", "sweep", "learning_rate=1e-4,1e-2"]
    command += ["batch_size=4", "--annotations", str(annotations), "--student", student.model]
    command += ["--out", str(tmp_path / "s"), "--epochs", "4", "--limit", "12"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    head, first, second, *end = done.stdout.splitlines()
    assert head.split() == [
        "learning_rate",
        "batch_size",
        "held-out",
        "loss",
        "kept",
        "step",
        "seconds",
    ]
    assert first.split()[:2] == ["0.01", "4"]
    assert "chosen" in first
    assert second.split()[:2] == ["0.0001", "4"]
    assert "training.yaml" in end[-1]
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    found = Sweep.model_validate(json.loads(told.stdout))
    assert found.chosen == {"learning_rate": 0.01, "batch_size": 4}
    assert "train " not in told.stderr, "finished trials were run again"
    assert len((tmp_path / "s" / "annotations.jsonl").read_text().splitlines()) == 12
