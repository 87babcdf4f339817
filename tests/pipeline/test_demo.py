"""The whole pipeline with the real embedded model, and the shipped experiment files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from distilwhy.config import Experiment, load_experiment, validate
from distilwhy.files import read_records
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.records import Annotation, Prediction
from distilwhy.training.methods import resolve_method

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_experiment_files_are_sound(path: Path) -> None:
    experiment = load_experiment(path)
    for condition in experiment.conditions:
        method = resolve_method(condition)
        assert sum(method.weights.values()) in (1.0, 2.0), condition.label


def small_demo() -> Experiment:
    """The demo itself, with a handful of rows."""
    values = yaml.safe_load((files("distilwhy.pipeline") / "demo.yaml").read_text())
    values["teacher"] |= {"shots": 1, "max_new_tokens": 12}
    values["limits"] = {"train": 4, "test": 3}
    values["training"] |= {"max_steps": 1, "batch_size": 2}
    values["prediction"] = {"max_new_tokens": 12}
    return validate(Experiment, values, "demo.yaml")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_pipeline_on_the_real_embedded_model(tmp_path: Path) -> None:
    run = ExperimentRun(small_demo(), tmp_path / "demo")
    page = run.run().read_text()
    annotations = read_records(run.annotations, Annotation)
    assert len(annotations) == 4
    assert all(annotation.rationale and annotation.rationale.text for annotation in annotations)
    assert all(annotation.counterfactuals for annotation in annotations)
    for cell in run.cells:
        predictions = read_records(cell.predictions, Prediction)
        assert len(predictions) == 3
        # One step is too few to learn to answer.
        assert all(prediction.generated_tokens > 0 for prediction in predictions)
        assert (cell.trained / "model.safetensors").stat().st_size > 500 * 2**20
        assert cell.condition.label in page
    for predictor in ("teacher", "majority", "random"):
        assert f">{predictor}<" in page.replace("\n", "")
