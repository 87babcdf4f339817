"""A run that goes wrong stops with its batch saved; an ordinary one is left alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Condition
from distilwhy.errors import ConfigError, StageError
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.students.views import ViewOptions, make_rows
from distilwhy.training import arguments
from distilwhy.training import train as stage
from distilwhy.training.trainer import ViewTrainer

Train = Callable[..., TrainingSummary]
VIEWS = ("predict", "explain", "factual", "counterfactual")


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """What the loss of a step is multiplied by, from that step on."""
    factors: dict[int, float] = {}
    original = ViewTrainer.compute_loss

    def breaks(self: ViewTrainer, *args: Any, **kwargs: Any) -> Any:
        loss = original(self, *args, **kwargs)
        for step, factor in factors.items():
            if self.state.global_step + 1 >= step:
                loss = loss * factor
        seen.append(float(loss))
        # The trainer's own record is of the loss as it left.
        self._step[-1] = (loss.detach(), *self._step[-1][1:])
        return loss

    seen: list[float] = []
    monkeypatch.setattr(ViewTrainer, "compute_loss", breaks)
    return factors


@pytest.mark.parametrize("held_out", [0.0, 0.2])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_loss_that_is_no_number_stops_the_run(
    held_out: float,
    micro_batches: int,
    fit: Train,
    tmp_path: Path,
    losses: dict[int, float],
    tiny_annotations: list[Annotation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses[4] = math.nan
    # Logged every second step only, yet the checkpoint of step 6 must not be written.
    monkeypatch.setattr(arguments, "LOGGED_POINTS", 2)
    with pytest.raises(StageError, match=r"became nan at step 4; its rows are in .*lower the") as e:
        fit(tmp_path / "s", held_out=held_out, micro_batches=micro_batches)
    assert str(tmp_path / "s" / "checkpoints") in str(e.value)
    saved = [path.name for path in (tmp_path / "s/checkpoints").glob("checkpoint-*")]
    assert saved == ["checkpoint-3"]
    told = json.loads((tmp_path / "s" / "stopped-step.json").read_text())
    assert (told["step"], told["loss"], told["what"]) == (4, "nan", "training loss")
    assert told["learning_rate"] > 0
    assert len(told["last_losses"]) == 3
    assert all(math.isfinite(value) for value in told["last_losses"])
    shown = [row["loss"] for row in told["rows"]]
    assert shown == sorted(shown, reverse=True)
    # Four whole examples with all their views, as the views themselves make them.
    by_id = {a.example.id: a for a in tiny_annotations}
    ids = list(dict.fromkeys(row["example"] for row in told["rows"]))
    assert len(ids) == 4
    expected = make_rows([by_id[name] for name in ids], VIEWS, ViewOptions())
    assert sorted((r["view"], r["source"], r["target"]) for r in told["rows"]) == sorted(
        (row.view, row.source, row.target) for rows in expected for row in rows
    )


def test_a_learning_rate_far_too_high_stops_the_run(fit: Train, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="lower the learning rate"):
        fit(tmp_path / "s", learning_rate=1e20)


def test_a_spike_stops_the_run_and_can_be_passed(
    fit: Train, tmp_path: Path, losses: dict[int, float]
) -> None:
    losses[14] = 10.0
    long = {"epochs": 6, "evaluations": 6}
    with pytest.raises(StageError, match=r"times the usual .* at step 14; .*spike to null"):
        fit(tmp_path / "s", **long)
    assert json.loads((tmp_path / "s" / "stopped-step.json").read_text())["step"] == 14
    # The same run without the check goes on where it was.
    summary = fit(tmp_path / "s", spike=None, **long)
    assert summary.steps == 18
    assert not (tmp_path / "s" / "stopped-step.json").exists()
    assert not (tmp_path / "s" / "checkpoints").exists()


def test_what_is_usual_outlives_an_interruption(
    fit: Train, tmp_path: Path, losses: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    class Interrupting(stage.Watch):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 13:
                raise Stop

    losses[14] = 10.0
    long = {"epochs": 6, "evaluations": 6}
    with monkeypatch.context() as patch:
        patch.setattr(stage, "Watch", Interrupting)
        with pytest.raises(Stop):
            fit(tmp_path / "s", **long)
    with pytest.raises(StageError, match="at step 14;"):
        fit(tmp_path / "s", **long)


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_ordinary_runs_raise_no_alarm(rate: float, fit: Train, tmp_path: Path) -> None:
    # One example a step: the noisiest losses there are, down to nearly none.
    changes = {"learning_rate": rate, "batch_size": 1, "epochs": 6, "held_out": 0.0}
    summary = fit(tmp_path / "s", condition=Condition(method="answer_only"), **changes)
    assert summary.steps == 96


def test_patience_stops_where_the_held_out_loss_rises(fit: Train, tmp_path: Path) -> None:
    changes = {"epochs": 8, "learning_rate": 3e-2, "evaluations": 8, "schedule": "constant"}
    condition = Condition(method="answer_only")
    whole = fit(tmp_path / "whole", condition=condition, **changes)
    curve = [p.held_out_loss for p in whole.curve if p.held_out_loss is not None]
    place = next(n for n in range(1, len(curve)) if curve[n] >= min(curve[:n]))
    assert place < len(curve) - 1, "the held-out loss should rise again in this test"
    short = fit(tmp_path / "short", condition=condition, patience=1, **changes)
    held_out = [p.held_out_loss for p in short.curve if p.held_out_loss is not None]
    assert held_out == curve[: place + 1]
    assert short.stopped_early
    assert not whole.stopped_early
    with pytest.raises(ConfigError, match="nothing is held out") as caught:
        fit(tmp_path / "none", patience=1, held_out=0.0)
    assert "held_out above 0" in caught.value.remedy
