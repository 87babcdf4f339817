"""Whole experiments of conditions beyond plain methods: controls, and what their report says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.config import Experiment
from distilwhy.errors import ConfigError
from distilwhy.files import read_json
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline.experiment import ExperimentRun

Small = Callable[..., Experiment]
Written = Callable[[Path], dict[str, int]]


def test_controls_beside_what_they_control(
    small: Small, table: Path, teacher: ScriptedGenerator, written: Written, tmp_path: Path
) -> None:
    conditions = [{"method": "multitask", "control": control} for control in (None, "shuffled")]
    experiment = small(conditions=[*conditions, {"method": "answer_only"}], swapped_tags=True)
    run = ExperimentRun(experiment, tmp_path / "run", table)
    page = run.run().read_text()
    for name in (
        "multitask : unrevised, control shuffled",
        "multitask : unrevised, tags swapped",
        "multitask : unrevised, control shuffled, tags swapped",
        "learnt explanations of other questions",
        "is asked for its answer by the tag of another view",
    ):
        assert name in page, name
    # A student of one view has no tags to swap.
    assert "answer_only : unrevised, tags swapped" not in page
    cells = {path.parent.parent.parent.name for path in run.folder.rglob("predictions-swapped*")}
    assert cells == {"multitask-unrevised", "multitask-unrevised-control-shuffled"}
    card = read_json(run.cells[1].trained / "distilwhy.json")
    assert card["condition"]["control"] == "shuffled"

    before = written(run.folder)
    ExperimentRun(experiment, run.folder, table).run()
    assert written(run.folder) == before


def test_a_control_that_could_spoil_nothing(small: Small, table: Path, tmp_path: Path) -> None:
    experiment = small(conditions=[{"method": "answer_only", "control": "empty"}])
    with pytest.raises(ConfigError, match="'answer_only : unrevised, control empty' learns no"):
        ExperimentRun(experiment, tmp_path / "run", table).run()
