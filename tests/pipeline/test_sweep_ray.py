"""Trials on two local workers of Ray, one of them killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from distilwhy.config import RaySettings, StudentSettings, TrainingSettings
from distilwhy.files import write_records
from distilwhy.pipeline.sweep import sweep
from distilwhy.records import Annotation

SETTINGS = TrainingSettings(epochs=4, held_out=0.2, batch_size=4, precision="fp32")
RATES = {"learning_rate": ["1e-4", "1e-2", "3e-3"]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_trials_on_ray_find_the_same_though_one_is_killed(
    cluster: Any,
    tiny_annotations: list[Annotation],
    tiny_models: dict[str, Path],
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray.tune")
    annotations = tmp_path / "annotations.jsonl"
    write_records(annotations, tiny_annotations)
    student = StudentSettings(model=f"hf:{tiny_models['llama']}")
    here = sweep(annotations, tmp_path / "here", RATES, student=student, settings=SETTINGS)
    killed: list[int] = []

    def kill_one() -> None:
        while not killed and not over.is_set():
            if list((tmp_path / "ray").glob("trials/*/checkpoints/checkpoint-*")):
                for process in psutil.Process().children(recursive=True):
                    if not killed and "ImplicitFunc" in " ".join(process.cmdline()):
                        os.kill(process.pid, signal.SIGKILL)
                        killed.append(process.pid)
            time.sleep(0.02)

    handler = signal.getsignal(signal.SIGINT)
    over = threading.Event()
    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        there = sweep(
            annotations,
            tmp_path / "ray",
            RATES,
            student=student,
            settings=SETTINGS,
            engine="ray",
            ray=RaySettings(workers=2),
        )
    finally:
        over.set()
        killer.join()
    assert killed
    assert signal.getsignal(signal.SIGINT) is handler
    found, expected = (
        {trial.values["learning_rate"]: trial.held_out_loss for trial in s.trials}
        for s in (there, here)
    )
    assert found == pytest.approx(expected)
    assert there.chosen == here.chosen
    assert not (tmp_path / "ray" / "ray").exists()
