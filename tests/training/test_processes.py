"""Two processes give the student of one: the same losses, weights, checkpoints and stops."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import StageError
from distilwhy.files import write_records
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.training.train import train

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("two_processes.py")
SETTINGS = {
    "epochs": 3,
    "learning_rate": 3e-3,
    "batch_size": 5,  # of 13 examples: the last step of an epoch has 3
    "held_out": 0.15,
    "evaluations": 4,
    "precision": "fp32",
}
METHOD = {"method": "multitask+counterfactual"}
RUNS: dict[str, dict[str, Any]] = {
    "llama": {"model": "llama", "condition": METHOD, "settings": {**SETTINGS, "micro_batches": 3}},
    # Cut as two processes cut it: this one's random weights make rounding grow.
    "t5": {
        "model": "t5",
        "condition": METHOD,
        "settings": {**SETTINGS, "micro_batches": 2, "learning_rate": 3e-4},
    },
    "curriculum": {
        "model": "llama",
        "condition": {
            "method": "multitask",
            "curriculum": [
                {"at": 0.0, "views": {"explain": 1.0}},
                {"at": 0.5, "views": {"predict": 0.5, "explain": 0.5}},
            ],
        },
        "settings": SETTINGS,
    },
    # One row a step, so that one process has nothing to do.
    "alone": {
        "model": "llama",
        "condition": {"method": "answer_only"},
        "settings": {**SETTINGS, "batch_size": 1, "max_steps": 4},
    },
    "patient": {
        "model": "llama",
        "condition": METHOD,
        "settings": {
            **SETTINGS,
            # It learns all that it can in 20 steps of 36; the 22nd's held-out loss is 1 % above.
            "epochs": 12,
            "learning_rate": 3e-2,
            "micro_batches": 2,
            "patience": 1,
            "evaluations": 18,
            "spike": None,
        },
    },
    "spike": {
        "model": "llama",
        "condition": METHOD,
        "settings": {
            **SETTINGS,
            "epochs": 8,
            "learning_rate": 30.0,
            "micro_batches": 2,
            "spike": 1.01,
        },
    },
}


def torchrun(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments in two processes that meet on this machine only."""
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--local-addr", "127.0.0.1"]
    launch += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    changes = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, *launch, *arguments],
        env={**os.environ, **changes},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=200,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


def told(folder: Path) -> TrainingSummary:
    return TrainingSummary.model_validate_json((folder / "training.json").read_text())


@pytest.fixture(scope="module")
def models(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny models, without dropout, which differs between processes."""
    still = tmp_path_factory.mktemp("still") / "t5"
    shutil.copytree(tiny_models["t5"], still)
    config = json.loads((still / "config.json").read_text())
    (still / "config.json").write_text(json.dumps({**config, "dropout_rate": 0.0}))
    return {**tiny_models, "t5": still}


@pytest.fixture(scope="module")
def folders(
    models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path, str]:
    """Folders of the runs of one process and of two, and what the two wrote on the terminal."""
    root = tmp_path_factory.mktemp("processes")
    one, two = root / "one", root / "two"
    write_records(root / "annotations.jsonl", tiny_annotations)
    runs = []
    for name, run in RUNS.items():
        settings = TrainingSettings.model_validate(run["settings"])
        student = StudentSettings(model=f"hf:{models[run['model']]}")
        condition = Condition.model_validate(run["condition"])
        try:
            train(tiny_annotations, student, condition, settings, one / name)
        except StageError as error:
            (one / name / "error").write_text(str(error))
        runs.append({**run, "model": student.model, "out": str(two / name)})
    broken = {**runs[0], "out": str(two / "broken")}
    runs += [{**broken, "stop": 5}, broken]
    plan = {"annotations": str(root / "annotations.jsonl"), "runs": runs}
    (root / "plan.json").write_text(json.dumps(plan))
    done = torchrun([str(SCRIPT), str(root / "plan.json")], root)
    assert done.returncode == 0, done.stderr[-3000:]
    return one, two, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["llama", "t5", "curriculum", "alone", "patient"])
def test_two_processes_give_the_student_of_one(name: str, folders: tuple[Path, Path, str]) -> None:
    one, two = folders[0] / name, folders[1] / name
    first, second = told(one), told(two)
    assert second.steps == first.steps
    assert second.best_step == first.best_step
    assert second.stopped_early == first.stopped_early == (name == "patient")
    assert second.tokens == first.tokens
    assert [p.step for p in second.curve] == [p.step for p in first.curve]
    losses, same = (
        [p.loss or p.held_out_loss for p in summary.curve]
        + [loss for p in summary.curve for loss in p.held_out_views.values()]
        + [p.held_out_loss for p in summary.curve if p.held_out_loss is not None]
        for summary in (first, second)
    )
    for expected, found in zip(losses, same, strict=True):
        assert found == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert weights(one).keys() == weights(two).keys()
    for key, tensor in weights(one).items():
        torch.testing.assert_close(weights(two)[key], tensor, rtol=0, atol=1e-5, msg=key)
    assert not (two / "checkpoints").exists()


def test_a_run_of_two_processes_goes_on_to_the_unbroken_weights(
    folders: tuple[Path, Path, str],
) -> None:
    unbroken, broken = weights(folders[1] / "llama"), weights(folders[1] / "broken")
    assert all(torch.equal(tensor, broken[key]) for key, tensor in unbroken.items())
    assert folders[2].count("Going on from") == 1


def test_both_processes_stop_at_a_spike_with_the_rows_of_both(
    folders: tuple[Path, Path, str],
) -> None:
    one, two = folders[0] / "spike", folders[1] / "spike"
    errors = {(two / f"error-{number}").read_text() for number in (0, 1)}
    assert len(errors) == 1
    assert str(two / "stopped-step.json") in errors.pop()
    first, second = (json.loads((f / "stopped-step.json").read_text()) for f in (one, two))
    assert second["step"] == first["step"]
    assert second["loss"] == pytest.approx(first["loss"], rel=1e-2)
    names = [sorted((r["example"], r["view"]) for r in f["rows"]) for f in (first, second)]
    assert names[0] == names[1]


def test_the_command_tells_once(
    models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    write_records(tmp_path / "a.jsonl", tiny_annotations)
    command = ["-m", "distilwhy", "train", "--annotations", "a.jsonl", "--max-steps", "2"]
    command += ["--student", f"hf:{models['llama']}", "--out", "s", "--precision", "fp32", "--json"]
    done = torchrun(command, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["steps"] == 2
    assert "Warning" not in done.stderr
    assert (tmp_path / "s.manifest.json").is_file()


def test_other_commands_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    several = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "distilwhy", "run", "experiment.yaml"],
        env={**os.environ, **several},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "only 'distilwhy train' works in several" in done.stderr
    assert "Traceback" not in done.stderr
