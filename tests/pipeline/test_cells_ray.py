"""Cells on two local workers of Ray: one of them killed, one cell that fails, Ray missing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from distilwhy.config import Experiment
from distilwhy.errors import MissingExtraError, ModelError
from distilwhy.files import write_records
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.records import Annotation

SMALL = {
    "max_steps": 40,
    "batch_size": 4,
    "evaluations": 10,
    "precision": "fp32",
}


@pytest.fixture
def make(
    small: Callable[..., Experiment],
    table: Path,
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> Callable[..., ExperimentRun]:
    """Makes an experiment of two cells on given annotations; fields given are set instead."""
    given = tmp_path / "given.jsonl"
    write_records(given, tiny_annotations)

    def run(name: str, **fields: Any) -> ExperimentRun:
        values: dict[str, Any] = {
            "teacher": None,
            "annotations": str(given),
            "seeds": [0, 1],
            "training": SMALL,
            "ray": {"workers": 2, "cpus": 1},
        }
        return ExperimentRun(small(**{**values, **fields}), tmp_path / name, table)

    return run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_killed_worker_costs_its_cell_only(
    make: Callable[..., ExperimentRun], cluster: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = make("here"), make("there", engine="ray")
    here.run()
    killed: list[int] = []
    over = threading.Event()

    def kill_one() -> None:
        while not killed and not over.is_set():
            if list(there.folder.glob("cells/*/*/*/student/checkpoints/checkpoint-*")):
                for process in psutil.Process().children(recursive=True):
                    if not killed and "run_cell" in " ".join(process.cmdline()):
                        os.kill(process.pid, signal.SIGKILL)
                        killed.append(process.pid)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_one)
    killer.start()
    capsys.readouterr()
    try:
        there.run()
    finally:
        over.set()
        killer.join()
    assert killed
    told = capsys.readouterr().err
    assert told.count("A worker died; its cell is run again: multitask : unrevised, seed") == 1
    assert "Cell 2 of 2 is done" in told
    for one, two in zip(here.cells, there.cells, strict=True):
        assert two.predictions.read_bytes() == one.predictions.read_bytes()
    # What is done is not done again.
    written = there.cells[0].predictions.stat().st_mtime_ns
    there.run()
    assert there.cells[0].predictions.stat().st_mtime_ns == written


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_cell_that_fails_is_named_after_the_others(
    make: Callable[..., ExperimentRun],
    cluster: Any,
    tiny_models: dict[str, Path],
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_models["llama"].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes(b"no weights")
    students = [{"model": f"hf:{broken}"}, {"model": f"hf:{tiny_models['llama']}"}]
    settings = {**SMALL, "max_steps": 2, "evaluations": 1}
    run = make("some", engine="ray", students=students, seeds=[0], training=settings)
    with pytest.raises(ModelError, match=r"^Cell multitask : unrevised, broken: "):
        run.run()
    assert run.cells[1].predictions.is_file()


def test_without_ray_the_command_that_installs_it_is_told(
    make: Callable[..., ExperimentRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as raised:
        make("none", engine="ray").run()
    assert raised.value.remedy == "Run: pip install 'distilwhy[ray]'"
