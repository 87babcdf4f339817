"""Soft labels in an experiment: refused beforehand where they cannot be, run where they can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Experiment, load_experiment, to_yaml
from distilwhy.errors import ConfigError, ModelError
from distilwhy.files import write_records
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.records import Annotation

Small = Callable[..., Experiment]


def test_contradictory_settings_are_told_together(tmp_path: Path, small: Small) -> None:
    text = to_yaml(small()).replace("soft: null", "soft: {shots: 3, beta: 0.2, dtype: fp32}")
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "e.yaml")
    for fault in ("beta is of loss jensen_shannon", "shots needs context", "dtype needs top_k"):
        assert fault in caught.value.message
    # What an experiment was resolved to, defaults included, can be run again.
    (tmp_path / "e.yaml").write_text(
        to_yaml(small(conditions=[{"soft": {"context": "few_shot", "top_k": 4}}]))
    )
    assert load_experiment(tmp_path / "e.yaml").conditions[0].label.endswith(" + forward_kl")


@pytest.fixture
def run(
    small: Small, table: Path, tiny_annotations: list[Annotation], tmp_path: Path
) -> Callable[..., ExperimentRun]:
    write_records(tmp_path / "annotations.jsonl", tiny_annotations)

    def make(soft: dict[str, Any], **fields: Any) -> ExperimentRun:
        condition = {"method": "multitask", "soft": soft}
        given = {"teacher": None, "annotations": str(tmp_path / "annotations.jsonl")}
        experiment = small(conditions=[condition], **{**given, **fields})
        return ExperimentRun(experiment, tmp_path / "run", table)

    return make


def test_teachers_that_cannot_give_soft_labels(run: Any, tiny_models: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="need a teacher, and none is named"):
        run({}).run()
    with pytest.raises(ModelError, match="not a model whose weights can be loaded"):
        run({"teacher": "openai:gpt"}).run()
    with pytest.raises(ModelError, match=r"nowhere could not|was found neither"):
        run({"teacher": "hf:./nowhere"}).run()


def test_labels_are_stored_once_for_all_cells(
    run: Any, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    soft = {"teacher": f"hf:{tiny_models['gpt2']}", "top_k": 5, "precision": "fp32"}
    finished = run(soft, seeds=[0, 1])
    assert finished.run().is_file()
    parts = list((tmp_path / "run/soft-labels").glob("*/part-*.safetensors"))
    # Seed 1 holds other examples out, so a few labels came to those of seed 0.
    assert len(parts) == 2
    assert parts[0].parent == parts[1].parent
    assert parts[0].stat().st_size != parts[1].stat().st_size
