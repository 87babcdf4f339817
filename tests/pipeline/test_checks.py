"""What is refused before a teacher is asked or a student trained, and how cells are named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Experiment, load_experiment, to_yaml
from distilwhy.errors import ConfigError, DataError, ModelError, UserError
from distilwhy.files import read_records, slug, write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline.cells import cells_of, entry_name
from distilwhy.pipeline.checks import check_experiment, fingerprint
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.records import Annotation, Example
from distilwhy.training import train as training
from distilwhy.training.methods import METHODS

Small = Callable[..., Experiment]


@pytest.fixture
def refused(
    small: Small,
    table: Path,
    teacher: ScriptedGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., UserError]:
    """Runs an experiment that must be refused before any model is asked or trained."""

    def train(*_: object) -> None:
        raise AssertionError("a student is trained")

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(kind: type[UserError], **fields: Any) -> UserError:
        with pytest.raises(kind) as caught:
            ExperimentRun(small(**fields), tmp_path / "run", table).run()
        assert teacher.calls == []
        return caught.value

    return run


def test_unknown_methods_and_views(refused: Any) -> None:
    error = refused(ConfigError, conditions=[{"method": "multitask"}, {"method": "nosuch"}])
    assert "no method named 'nosuch'" in error.message
    error = refused(ConfigError, conditions=[{"method": "mine", "views": {"predct": 1}}])
    assert "no view named 'predct'" in error.message


FEW_SHOT = {"context": "few_shot", "views": ["counterfactual"]}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"conditions": [{"soft": {"views": ["nosuch"]}}]}, "the method has no view 'nosuch'"),
        (
            {"conditions": [{"method": "counterfactual", "soft": FEW_SHOT}]},
            "hold nothing for the view 'counterfactual'",
        ),
        ({"training": {"patience": 2, "held_out": 0}}, "patience waits for a better"),
        ({"training": {"trackers": ["nosuch"]}}, "nosuch is not one that the Trainer knows"),
        ({"training": {"schedule": "nosuch"}}, "training.schedule 'nosuch' cannot be used"),
        ({"training": {"memory_budget": 0.1}}, "needs at least 0.7 GiB"),
        ({"conditions": [{"method": "answer_only", "alpha": 0.1}]}, "alpha has no effect"),
        ({"conditions": [{"method": "answer_only"}], "swapped_tags": True}, "swapped_tags has no"),
        (
            {"conditions": [{"curriculum": [{"at": 0, "views": {"explain": 1}}]}]},
            "never trains its view 'predict'",
        ),
    ],
)
def test_what_training_would_refuse(
    fields: dict[str, Any], told: str, refused: Any, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    for condition in fields.get("conditions", ()):
        if "soft" in condition:
            condition["soft"]["teacher"] = f"hf:{tiny_models['llama']}"
    assert told in refused(ConfigError, **fields).message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"lora": {"targets": "nosuch"}}, "Target modules nosuch not found"),
        ({"lora": {"rank": 1000}}, "lora.rank is 1000, but "),
        ({"layers": {"encoder": "all"}}, "has no encoder, so layers.encoder has no effect"),
    ],
)
def test_students_that_training_would_refuse(
    fields: dict[str, Any], told: str, refused: Any, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    student = {"model": f"hf:{tiny_models['llama']}", **fields}
    assert told in refused(ModelError, students=[student]).message
    assert not (tmp_path / "run").exists()


def test_files_of_other_sources_that_are_missing(refused: Any, tmp_path: Path) -> None:
    error = refused(DataError, sources={"human": str(tmp_path / "none.jsonl")})
    assert "none.jsonl does not exist" in error.message
    assert not (tmp_path / "run").exists()


def test_resolved_experiments_of_all_methods_can_be_run_again(small: Small, tmp_path: Path) -> None:
    conditions = [{"method": name, "data": "revised"} for name in METHODS]
    conditions.append({"method": "mine", "views": {"predict": 1, "explain": 0.5}})
    path = tmp_path / "experiment.yaml"
    path.write_text(to_yaml(small(conditions=conditions)))
    again = load_experiment(path)
    check_experiment(again.model_copy(update={"task": "mini"}), cells_of(again, tmp_path), None)
    assert to_yaml(again) == path.read_text()


def test_a_place_on_ray_without_ray_is_said_to_have_no_effect(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    experiment = small(ray={"workers": 3}, task="mini")
    check_experiment(experiment, cells_of(experiment, tmp_path), None)
    assert capsys.readouterr().err == "ray has no effect with engine local.\n"


def test_texts_that_the_teacher_is_not_asked_for(refused: Any) -> None:
    teacher = {"model": "hf:scripted", "shots": 1, "steps": ["rationale"]}
    error = refused(
        ConfigError, teacher=teacher, conditions=[{"method": "multitask", "data": "revised"}]
    )
    assert "'explain' learns from (revised data)" in error.message
    error = refused(ConfigError, teacher=teacher, conditions=[{"method": "counterfactual"}])
    assert "'counterfactual'" in error.message


def test_texts_that_given_annotations_lack(
    refused: Any, tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    bare = [annotation.model_copy(update={"revision": None}) for annotation in tiny_annotations]
    write_records(tmp_path / "bare.jsonl", bare)
    conditions = [{"method": "multitask"}, {"method": "multitask", "data": "revised"}]
    given = {"teacher": None, "annotations": str(tmp_path / "bare.jsonl")}
    error = refused(ConfigError, conditions=conditions, **given)
    assert "'explain' learns from (revised data)" in error.message


def test_annotations_of_the_same_example(
    refused: Any, tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    twice = [*tiny_annotations, tiny_annotations[3], tiny_annotations[5], tiny_annotations[3]]
    write_records(tmp_path / "twice.jsonl", twice)
    error = refused(DataError, teacher=None, annotations=str(tmp_path / "twice.jsonl"))
    assert "'q3' is annotated 3 times" in error.message
    assert "'q5' is annotated 2 times" in error.message


def test_annotations_that_the_run_would_overwrite(
    small: Small, table: Path, tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    given = tmp_path / "annotations.jsonl"
    write_records(given, tiny_annotations)
    experiment = small(teacher=None, annotations=str(given), limits={"train": 4})
    with pytest.raises(DataError, match="it would be overwritten"):
        ExperimentRun(experiment, tmp_path, table).run()
    assert read_records(given, Annotation) == tiny_annotations


def test_models_that_are_missing(refused: Any, tiny_models: dict[str, Path]) -> None:
    good = {"model": f"hf:{tiny_models['llama']}"}
    error = refused(ModelError, students=[good, {"model": "hf:nosuch/model"}])
    assert "'nosuch/model' was found neither" in error.message


def test_test_questions_without_answers(refused: Any, task: dict[str, Any]) -> None:
    columns = {key: value for key, value in task["columns"].items() if key != "answer"}
    error = refused(DataError, task={**task, "columns": columns})
    assert "6 examples have no right answer: 'test-20', " in error.message


@pytest.mark.parametrize(
    ("first", "second", "folder"),
    [("a b", "a-b", "a-b"), ("Tiny", "tiny", "tiny"), ("..", "-", "unnamed")],
)
def test_labels_that_would_share_a_folder(
    first: str, second: str, folder: str, refused: Any, tiny_models: dict[str, Path]
) -> None:
    students = [
        {"model": f"hf:{tiny_models['llama']}", "name": first},
        {"model": f"hf:{tiny_models['t5']}", "name": second},
    ]
    error = refused(ConfigError, students=students)
    assert error.message == (
        f"students: {first!r} and {second!r} would share the folder {folder!r}."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("multitask+counterfactual : revised", "multitask+counterfactual-revised"),
        ("google/t5 v1.1", "google-t5-v1.1"),
        ("Größe 1", "Größe-1"),
        ("../../etc", "etc"),
        ("a" * 300, "a" * 60),
        ("...", "unnamed"),
    ],
)
def test_slugs_are_fit_for_folders(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_entries_name_what_tells_them_apart(small: Small, tiny_models: dict[str, Path]) -> None:
    one = cells_of(small(), Path("run"))
    assert [entry_name(cell, one) for cell in one] == ["multitask : unrevised"]
    students = [{"model": f"hf:{tiny_models[name]}", "name": name} for name in ("llama", "t5")]
    many = cells_of(small(students=students, seeds=[3, 4]), Path("run"))
    assert [entry_name(cell, many) for cell in many] == [
        "multitask : unrevised, llama, seed 3",
        "multitask : unrevised, llama, seed 4",
        "multitask : unrevised, t5, seed 3",
        "multitask : unrevised, t5, seed 4",
    ]
    assert many[2].predictions == Path("run/cells/multitask-unrevised/t5/seed-3/predictions.jsonl")
    assert len({cell.folder for cell in many}) == 4


def test_order_of_choices_and_white_space_make_no_other_question() -> None:
    example = Example(id="a", question="Where is  it?", choices=("shed", "lake"), answer="shed")
    changed = {"question": " where is it?\n", "choices": ("Lake", "shed"), "answer": "shed"}
    other = Example(id="b", **changed)  # type: ignore[arg-type]
    assert fingerprint(example) == fingerprint(other)


def test_a_finished_run_loads_no_model_library(
    small: Small, table: Path, tmp_path: Path, task: dict[str, Any], teacher: ScriptedGenerator
) -> None:
    source = {split: str(table / f"{split}.csv") for split in ("train", "test")}
    path = tmp_path / "experiment.yaml"
    path.write_text(to_yaml(small(task={**task, "source": source})))
    ExperimentRun(small(task={**task, "source": source}), tmp_path / "run", tmp_path).run()
    code = (
        "import sys; from distilwhy.pipeline.experiment import run; run(*sys.argv[1:])\n"
        "print([name for name in ('torch', 'transformers', 'altair') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
