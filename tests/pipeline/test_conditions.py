"""Whole experiments of conditions beyond plain methods, and what their report says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from distilwhy.config import Experiment
from distilwhy.errors import ConfigError, DataError
from distilwhy.files import read_json, read_records, write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline.collect import collect
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.records import Annotation, TeacherText
from distilwhy.tasks import load_task
from distilwhy.training.data import split_held_out

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
    # Training is told once a student, so that no curve, cost or collapse stands twice.
    told = {entry.name: entry.metrics for entry in collect(run).entries}
    assert told["multitask : unrevised"].training is not None
    swapped = told["multitask : unrevised, tags swapped"]
    assert (swapped.training, swapped.collapsed) == (None, ())
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


def explained(run: ExperimentRun) -> int:
    """Return how many of the examples trained on people explain."""
    kept, _ = split_held_out(read_records(run.annotations, Annotation), 0.1, 0)
    return sum("human" in annotation.others for annotation in kept)


def test_people_and_the_teacher_explain(
    small: Small, table: Path, teacher: ScriptedGenerator, tmp_path: Path
) -> None:
    # Numbered otherwise than the task numbers them: questions are known by their words.
    people = tmp_path / "people.jsonl"
    examples = load_task(small().task, table).load("train")
    said = [
        Annotation(
            example=example.model_copy(update={"id": f"p{number}"}),
            teacher="human",
            rationale=TeacherText(text=f"I saw thing {number} there."),
        )
        for number, example in enumerate(examples[:6])
    ]
    write_records(people, said)
    experiment = small(
        sources={"human": str(people)},
        conditions=[
            {"learn_from": {"teacher": 1, "human": 3}, "data": "unrevised"},
            {"learn_from": {"teacher": 1, "human": 1}, "mixing": "all"},
            {
                "method": "multitask",
                "curriculum": [{"at": 0, "views": {"explain": 1}}, {"at": 0.5}],
            },
        ],
    )
    run = ExperimentRun(experiment, tmp_path / "run", table)
    page = run.run().read_text()
    assert "Whose explanations students learnt" in page
    drawn, both, plain = (read_json(c.trained / "training.json")["sources"] for c in run.cells)
    # One of the twelve questions is a test question, two are held out.
    assert sum(drawn.values()) == 9
    assert set(drawn) == {"teacher", "human"}
    assert both == {"teacher": 9, "human": explained(run)}
    assert plain == {}

    write_records(people, said[:3])
    ExperimentRun(experiment, run.folder, table).run()
    sources = read_json(run.cells[1].trained / "training.json")["sources"]
    assert sources["human"] == explained(run) <= 3
    write_records(people, [a.model_copy(update={"example": run.test[0]}) for a in said[:1]])
    with pytest.raises(DataError, match="explains none of the training examples"):
        ExperimentRun(experiment, run.folder, table).run()


def test_sources_that_are_not_named(small: Small) -> None:
    with pytest.raises(ValidationError, match="no source named 'human' under sources"):
        small(conditions=[{"learn_from": {"human": 1}}])
    with pytest.raises(ValidationError, match="name of the first source already"):
        small(sources={"teacher": "x.jsonl"})
