"""The judge in stages: asked once, within its budget, of cells and pairs, forecast beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Budget, Experiment, JudgeSettings, MeasureSettings, to_yaml
from distilwhy.errors import ConfigError, DataError, StoppedError
from distilwhy.files import read_records, write_records
from distilwhy.generators.recorded import StoredText
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.judging.preference import Preferences
from distilwhy.pipeline.experiment import ExperimentRun, run
from distilwhy.pipeline.judge_forecast import forecast_judge, forecast_measure, forecast_pairs
from distilwhy.pipeline.judging import prefer_all, verdicts_path
from distilwhy.pipeline.measuring import measure_all, measures_folder, read_measures
from distilwhy.records import Annotation, Example, Prediction, TeacherText

JUDGE = "openai:a-judge"
CALLS = 5 * 2


def verdict(prompt: str) -> str:
    """Rate reasons high, and prefer them wherever they stand."""
    if "Explanation A:" not in prompt:
        return "5" if "because" in prompt.split("<<<")[-1] else "2"
    first, second = prompt.split("Explanation A:")[1].split("Explanation B:")
    a, b = "because" in first, "because" in second
    return "tie" if a == b else "A" if a else "B"


def predictions(how_many: int, text: str = "because {}") -> list[Prediction]:
    return [
        Prediction(
            example=Example(
                id=f"q{n}", question=f"Which is {n}?", choices=("a cat", "a dog"), answer="a cat"
            ),
            answer="a cat",
            answer_text="a cat",
            rationale=text.format(n),
        )
        for n in range(how_many)
    ]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> ScriptedGenerator:
    """A scripted judge under the name JUDGE; a scripted teacher under every other."""
    teacher = scripted(monkeypatch)
    made = ScriptedGenerator(verdict, name=JUDGE)

    def opened(model: str, *_: Any) -> ScriptedGenerator:
        return made if model == JUDGE else teacher

    monkeypatch.setattr("distilwhy.generators.open.open_generator", opened)
    return made


def settings(**fields: Any) -> MeasureSettings:
    return MeasureSettings(measures=("judge",), judge=JudgeSettings(model=JUDGE, **fields))


def test_verdicts_are_asked_once_whatever_changes_around_them(
    judge: ScriptedGenerator, tmp_path: Path
) -> None:
    rows, out = predictions(4), tmp_path / "measures"
    (first,) = measure_all(rows, out, settings())
    assert first.figures["quality"].value == 5.0
    assert len(judge.calls) == 4 * CALLS
    assert len(read_records(verdicts_path(out), StoredText)) == 4 * CALLS
    assert read_measures(out) == [first]
    assert measure_all(rows, out, settings(concurrency=3)) == [first]
    (fewer,) = measure_all(rows, out, settings(constructs=("satisfaction",)))
    assert list(fewer.figures)[:2] == ["satisfaction", "satisfaction_length_adjusted"]
    measure_all(predictions(5), out, settings())
    assert len(judge.calls) == 5 * CALLS, "only the fifth explanation is new"


def test_another_wording_judges_anew(
    judge: ScriptedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distilwhy.judging.wording as module

    measure_all(predictions(1), tmp_path, settings())
    other = module.wording().model_copy(update={"version": 99, "task": "Rate otherwise."})
    monkeypatch.setattr(module, "wording", lambda: other)
    monkeypatch.setattr("distilwhy.explainability.judge.wording", lambda: other)
    (found,) = measure_all(predictions(1), tmp_path, settings())
    assert found.details["wording_version"] == 99
    assert len(judge.calls) == 2 * CALLS


@pytest.mark.usefixtures("judge")
def test_references_ratings_and_the_students_base_reach_the_measure(
    make_student: Callable[..., Path], tmp_path: Path
) -> None:
    rows = predictions(4)
    texts = [
        Annotation(example=p.example, teacher="t", rationale=TeacherText(text="two words"))
        for p in rows
    ]
    write_records(tmp_path / "references.jsonl", texts)
    people = ["rationale,plausibility", *(f"because {n},{n + 1}" for n in range(3))]
    (tmp_path / "people.csv").write_text("\n".join(people))
    student = make_student("llama", "predict", "explain", base="openai:gpt-5")
    given = {
        "references": str(tmp_path / "references.jsonl"),
        "ratings": str(tmp_path / "people.csv"),
    }
    wanted = settings().model_copy(update=given)
    (found,) = measure_all(rows, tmp_path / "out", wanted, student=student)
    assert found.details["reference_words"] == 2
    assert found.details["rated_by_people"] == 3
    assert found.figures["plausibility_alpha"].n == 3
    assert found.details["warning"] == "The family of the judge is not known; they may share one."
    people[1] = "because 0,5"
    (tmp_path / "people.csv").write_text("\n".join(people))
    (again,) = measure_all(rows, tmp_path / "out", wanted, student=student)
    assert again.items[0].scores["people_plausibility"] == 5


def test_a_budget_keeps_what_was_paid_for(judge: ScriptedGenerator, tmp_path: Path) -> None:
    rows = predictions(4)
    with pytest.raises(StoppedError) as stop:
        measure_all(rows, tmp_path, settings(budget=Budget(tokens=2500)))
    assert (stop.value.budget, stop.value.setting, stop.value.code) == ("judge.budget", "tokens", 1)
    asked = len(judge.calls)
    assert 0 < asked < 4 * CALLS
    assert sum(stop.value.missing.values()) == 4 * CALLS - asked
    assert read_measures(tmp_path) == []
    measure_all(rows, tmp_path, settings())
    assert len(judge.calls) == 4 * CALLS


def test_preferences_are_a_stage(judge: ScriptedGenerator, tmp_path: Path) -> None:
    predictors = {"bare": predictions(4, "it is {}"), "reasons": predictions(6)}
    out, wanted = tmp_path / "pairs.json", JudgeSettings(model=JUDGE)
    which: dict[str, Any] = {"bases": {"bare": "hf:t5"}, "verdicts": tmp_path / "v.jsonl"}
    found = prefer_all(predictors, out, wanted, **which)
    assert len(judge.calls) == 4 * CALLS
    (pair,) = found.constructs["plausibility"].pairs
    assert (pair.first, pair.wins, pair.losses, pair.ties) == ("bare", 0, 4, 0)
    assert found.first_share == 0.5
    assert [text.partition(":")[0] for text in found.warnings] == ["bare", "reasons"]
    assert prefer_all(predictors, out, wanted, **which) == found
    fewer = prefer_all(predictors, out, wanted, limit=3, **which)
    assert fewer.verdicts <= 3 * CALLS
    assert len(judge.calls) == 4 * CALLS


def test_a_forecast_tells_what_is_asked(judge: ScriptedGenerator, tmp_path: Path) -> None:
    rows = [*predictions(3), *predictions(4, "")[3:]]
    priced = settings(prices={"prompt": 1.0, "completion": 2.0})
    told = forecast_measure(rows, priced, None, 0)
    assert (told.examples, told.total.texts) == (3, 3 * CALLS)
    assert told.total.usd is not None
    assert judge.calls == []
    measure_all(rows, tmp_path, priced)
    assert len(judge.calls) == told.total.texts
    again = forecast_measure(rows, priced, verdicts_path(tmp_path), 0)
    assert (again.total.texts, again.total.stored, again.total.usd) == (0, 3 * CALLS, 0)
    pairs = forecast_pairs(
        {"a": rows, "b": predictions(3, "x {}"), "c": predictions(2, "y {}")},
        JudgeSettings(model=JUDGE),
    )
    assert pairs.total.texts == (3 + 2 + 2) * CALLS
    with pytest.raises(ConfigError, match="'judge' is not wanted"):
        forecast_measure(rows, MeasureSettings(measures=("surface",)), None, 0)
    with pytest.raises(DataError, match="No prediction has an explanation"):
        forecast_measure(rows[3:], priced, None, 0)


def test_an_experiments_cells_and_conditions_are_judged_after_all_cells(
    small: Callable[..., Experiment], table: Path, tmp_path: Path, judge: ScriptedGenerator
) -> None:
    experiment = small(
        conditions=[{"method": "multitask"}, {"method": "counterfactual"}],
        explanations={"measures": ["surface", "judge"], "judge": {"model": JUDGE}, "pairs": True},
    )
    file, out = table / "judged.yaml", tmp_path / "run"
    file.write_text(to_yaml(experiment))
    told = forecast_judge(file, out)
    file.unlink()
    assert told is not None
    assert told.steps["plausibility"].texts == 6 * 2 * 2
    assert told.steps["pairs: plausibility"].texts == 6 * 2
    assert "2 of 2 students that explain were not asked yet" in told.notes[-1]
    assert judge.calls == []
    ran = ExperimentRun(experiment, out, table)
    ran.run()
    asked = len(judge.calls)
    assert len(set(judge.calls)) == asked == len(read_records(verdicts_path(out), StoredText))
    explained = 0
    for cell in ran.cells:
        found = {result.measure: result for result in read_measures(measures_folder(cell.figures))}
        explained += found["surface"].figures["words"].n
        assert found["judge"].figures["quality"].n == found["surface"].figures["words"].n
    assert explained
    pairs = Preferences.model_validate_json(ran.preferences.read_text())
    assert list(pairs.constructs) == [*JudgeSettings(model=JUDGE).constructs, "all"]
    page = ran.report.read_text()
    for text in ("Bradley-Terry strengths", f"Preferences of {JUDGE}", "judge: quality"):
        assert text in page
    assert "family of the judge" in page
    run(experiment.model_copy(update={"task": str_task(table, experiment)}), out)
    assert len(judge.calls) == asked


def str_task(table: Path, experiment: Experiment) -> dict[str, Any]:
    """Return an experiment's task with its files named from anywhere."""
    task = dict(experiment.task) if isinstance(experiment.task, dict) else {}
    task["source"] = {split: str(table / name) for split, name in task["source"].items()}
    return task


def test_pairs_need_a_judge_and_ratings_a_table(
    small: Callable[..., Experiment], table: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="pairs need a judge"):
        MeasureSettings(pairs=True)
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    experiment = small(explanations={"ratings": str(tmp_path / "people.csv")})
    with pytest.raises(DataError, match="no column 'rationale'"):
        ExperimentRun(experiment, tmp_path / "run", table).run()
