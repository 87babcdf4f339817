"""Trackers: TensorBoard's files are really written; what is missing is named with its remedy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.errors import ConfigError
from distilwhy.records import TrainingSummary
from distilwhy.training.trackers import PACKAGES, check_trackers

Train = Callable[..., TrainingSummary]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own packages
def test_tensorboard_gets_the_curve(fit: Train, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    summary = fit(tmp_path / "s", trackers=("tensorboard",))
    folder = tmp_path / "s.tensorboard"
    assert next(path.name for path in folder.iterdir()).startswith("events.out.tfevents")
    events = reader.EventAccumulator(str(folder)).Reload()
    for tag, values in (
        ("train/loss", {p.step: p.loss for p in summary.curve if p.loss is not None}),
        ("eval/loss", {p.step: p.held_out_loss for p in summary.curve if p.held_out_loss}),
    ):
        read = {event.step: event.value for event in events.Scalars(tag)}
        assert read == pytest.approx(values)
        assert len(read) > 2


@pytest.mark.parametrize("name", list(PACKAGES))
def test_a_missing_package_is_named_with_its_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda n, *rest: None if n in PACKAGES[name] else find(n, *rest),
    )
    with pytest.raises(ConfigError, match=f"names '{name}'") as caught:
        check_trackers([name])
    assert caught.value.remedy == f"Run: pip install {PACKAGES[name][0]}"


def test_an_unknown_tracker_is_refused(fit: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training.trackers cannot be used: nobody is not"):
        fit(tmp_path / "s", trackers=("nobody",))
