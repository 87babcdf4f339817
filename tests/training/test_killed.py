"""A run killed at any moment, its checkpoints' writing included, ends with the unbroken weights.

Runs are started by a server that has everything imported already, each in a process of its own.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.training.train import train

SETTINGS = TrainingSettings(
    epochs=3, learning_rate=3e-3, batch_size=4, evaluations=6, held_out=0.2, precision="fp32"
)
WAIT = 120.0
Start = Callable[..., BaseProcess]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServerContext]:
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(
        ["distilwhy.training.train", "transformers.models.t5.modeling_t5", "accelerate.state"]
    )
    yield context
    if before is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = before


@pytest.fixture
def start(
    server: ForkServerContext, tiny_models: dict[str, Path], tiny_annotations: list[Annotation]
) -> Iterator[Start]:
    started: list[BaseProcess] = []
    # T5 has dropout, so that the state of the random numbers counts too.
    student = StudentSettings(model=f"hf:{tiny_models['t5']}")

    def run(out: Path, settings: TrainingSettings = SETTINGS) -> BaseProcess:
        condition = Condition(method="multitask+counterfactual")
        arguments = (tiny_annotations, student, condition, settings, out)
        process = server.Process(target=train, args=arguments)
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


def finish(process: BaseProcess) -> None:
    process.join(WAIT)
    assert process.exitcode == 0


def kill_when(process: BaseProcess, moment: Callable[[], bool]) -> bool:
    """Kill a run at a moment; return whether it was still running."""
    end = time.monotonic() + WAIT
    while process.is_alive() and not moment() and time.monotonic() < end:
        time.sleep(0.0002)
    alive = process.is_alive()
    if alive:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join(WAIT)
    return alive


def checkpoints(out: Path) -> set[str]:
    """Return the names of the checkpoints there are, begun ones too."""
    return {path.name for path in out.glob("checkpoints/checkpoint-*")}


def is_being_written(out: Path) -> bool:
    """Return whether a checkpoint is there without its last file."""
    return any(
        not (out / "checkpoints" / n / "trainer_state.json").exists() for n in checkpoints(out)
    )


def assert_same(one: Path, two: Path) -> None:
    first, second = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    summaries = []
    for folder in (one, two):
        told = json.loads((folder / "training.json").read_text())
        summary = TrainingSummary.model_validate(told)
        summaries.append((summary.curve, summary.tokens, summary.steps, summary.best_step))
    assert summaries[0] == summaries[1]


def test_a_run_killed_at_any_moment_ends_with_the_unbroken_weights(
    start: Start, tmp_path: Path
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    finish(start(unbroken))
    draw = random.Random(0)
    kills = torn = 0
    last: set[str] = set()
    for attempt in range(8):
        process = start(broken)
        if attempt % 2:  # while a checkpoint is written
            moment: Callable[[], bool] = lambda: is_being_written(broken)  # noqa: E731
        else:  # some time after a further checkpoint has begun
            seen, delay = checkpoints(broken), draw.uniform(0, 0.3)

            def moment(seen: set[str] = seen, delay: float = delay) -> bool:
                if checkpoints(broken) - seen:
                    time.sleep(delay)
                    return True
                return False

        if not kill_when(process, moment):
            break
        kills += 1
        torn += is_being_written(broken)
        last = checkpoints(broken)
    finish(start(broken))
    assert kills >= 3
    assert torn >= 1, f"no kill fell into the writing of a checkpoint: {last}"
    assert_same(unbroken, broken)
    assert not list(broken.glob(".*"))
    assert not (broken / "checkpoints").exists()


def test_a_run_killed_after_patience_ended_it_takes_no_further_step(
    start: Start, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"learning_rate": 1.0, "patience": 1, "epochs": 8, "evaluations": 12}
    settings = SETTINGS.model_copy(update={**changes, "spike": None})
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    finish(start(unbroken, settings))
    summary = json.loads((unbroken / "training.json").read_text())
    assert summary["stopped_early"]
    assert 0 < summary["steps"] < 32
    last = broken / "checkpoints" / f"checkpoint-{summary['steps']}" / "trainer_state.json"
    assert kill_when(start(broken, settings), last.exists)
    finish(start(broken, settings))
    assert_same(unbroken, broken)
