"""Measures of explanations as a stage: files, what is done again, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Condition, Experiment, MeasureSettings
from distilwhy.errors import ConfigError
from distilwhy.explainability import MEASURES, Figure, ItemScores, Subject
from distilwhy.explainability.measures import Scored
from distilwhy.files import read_records, write_records
from distilwhy.pipeline.checks import check_measures
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.pipeline.measuring import measure_all, measures_folder, read_measures
from distilwhy.records import Annotation, Example, Prediction, TeacherText


class Watched:
    """A measure that counts how often it is asked, and of how much."""

    needs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.asked: list[int] = []

    def score(self, subject: Subject) -> Scored:
        self.asked.append(len(subject.predictions))
        return Scored([ItemScores(example_id=p.example.id) for p in subject.predictions], {"k": 1})

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        return {"seed": Figure(value=seed, n=len(items))}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    made = Watched()
    monkeypatch.setitem(MEASURES._items, "watched", made)
    return made


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.jsonl"
    write_records(path, [_prediction(n) for n in range(10)])
    return path


def _prediction(number: int) -> Prediction:
    example = Example(
        id=f"q{number}", question="Which?", choices=("a cat", "a dog"), answer="a cat"
    )
    text = "The answer is a dog." if number < 3 else "Cats purr."
    return Prediction(example=example, answer="a cat", answer_text="a cat", rationale=text)


SETTINGS = MeasureSettings(measures=("surface", "watched"))


def test_each_measure_is_a_file_that_is_made_once(
    predictions: Path, watched: Watched, tmp_path: Path
) -> None:
    out = measures_folder(tmp_path / "metrics.json")
    first = measure_all(predictions, out, SETTINGS)
    assert [result.measure for result in first] == ["surface", "watched"]
    assert first[0].figures["states_answer"].value == 0.3
    assert read_measures(out) == first
    assert measure_all(predictions, out, SETTINGS) == first
    assert watched.asked == [10]
    measure_all(predictions, out, SETTINGS, seed=1)
    assert watched.asked == [10, 10], "another seed draws other intervals"


def test_other_predictions_are_judged_anew(
    predictions: Path, watched: Watched, tmp_path: Path
) -> None:
    measure_all(predictions, tmp_path / "out", SETTINGS)
    write_records(predictions, [_prediction(n) for n in range(4)])
    again = measure_all(predictions, tmp_path / "out", SETTINGS)
    assert watched.asked == [10, 4]
    assert again[0].figures["states_answer"].value == 0.75


def test_a_limit_draws_by_seed(predictions: Path, watched: Watched) -> None:
    limited = SETTINGS.model_copy(update={"limit": 4})
    ids = [
        [item.example_id for item in measure_all(predictions, None, limited, seed=seed)[1].items]
        for seed in (0, 0, 1)
    ]
    assert watched.asked == [4, 4, 4]
    assert ids[0] == ids[1] != ids[2]


def test_what_is_missing_is_refused_before_anything_is_asked(
    predictions: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    needy = Watched()
    needy.needs = ("student", "scorer|judge")
    monkeypatch.setitem(MEASURES._items, "needy", needy)
    settings = MeasureSettings(measures=("watched", "needy"))
    with pytest.raises(ConfigError, match="'needy' needs the student itself"):
        measure_all(predictions, None, settings)
    with pytest.raises(ConfigError, match="'needy' needs a scorer model or a judge"):
        check_measures(settings)
    check_measures(settings.model_copy(update={"scorer": "embedded"}))
    assert watched.asked == []


@pytest.mark.usefixtures("teacher")
def test_cells_are_measured(small: Any, table: Path, tmp_path: Path, watched: Watched) -> None:
    experiment: Experiment = small(explanations={"measures": ["surface", "watched"]})
    run = ExperimentRun(experiment, tmp_path / "run", table)
    run.run()
    for cell in run.cells:
        found = read_measures(measures_folder(cell.figures))
        explained = [p for p in read_records(cell.predictions, Prediction) if p.rationale]
        assert found[0].figures["words"].n == len(explained)
    asked = len(watched.asked)
    assert asked == len(run.cells)
    ExperimentRun(experiment, tmp_path / "run", table).run()
    assert len(watched.asked) == asked


def test_unknown_measures_are_refused_before_teaching(
    small: Any, table: Path, tmp_path: Path
) -> None:
    experiment = small(explanations={"measures": ["surfaces"]})
    with pytest.raises(ConfigError, match="no measure named 'surfaces'"):
        ExperimentRun(experiment, tmp_path / "run", table).run()
    assert not (tmp_path / "run").exists()


def test_texts_are_held_against_the_kind_that_the_student_learnt(
    predictions: Path, tmp_path: Path, small_student: Path
) -> None:
    example = _prediction(0).example
    texts = {"rationale": "Cats purr.", "revision": "Nothing alike, 12345."}
    annotation = Annotation(
        example=example,
        teacher="t",
        **{kind: TeacherText(text=text) for kind, text in texts.items()},
    )
    references = tmp_path / "references.jsonl"
    write_records(references, [annotation])
    same = _prediction(0).model_copy(update={"rationale": "Cats purr."})
    settings = MeasureSettings(measures=("overlap",))

    def chrf(settings: MeasureSettings, student: Path | None = None) -> float | None:
        (found,) = measure_all([same], None, settings, student=student, references=references)
        return found.figures["chrf"].value

    assert chrf(settings) == 100
    assert (chrf(settings, small_student) or 0) < 20, "the student learnt revisions"
    assert chrf(settings.model_copy(update={"data": "unrevised"}), small_student) == 100


@pytest.fixture
def small_student(make_student: Callable[..., Path]) -> Path:
    """A folder of a student of revised data; it is not asked."""
    condition = Condition(method="multitask", data="revised")
    return make_student("llama", "predict", "explain", condition=condition)
