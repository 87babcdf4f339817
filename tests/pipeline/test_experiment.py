"""A whole experiment: what it leaves behind, what a second run does, what training may see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from distilwhy.config import Experiment, load_experiment, to_yaml
from distilwhy.errors import StageError
from distilwhy.evaluation.metrics import Metrics
from distilwhy.files import read_json, read_records, write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.manifests import manifest_path, read_manifest
from distilwhy.pipeline.experiment import ExperimentRun, fingerprint, run
from distilwhy.records import Annotation, Example, Prediction
from distilwhy.students.load import read_card
from distilwhy.training import train as training

METHODS = {
    "answer_only": "unrevised",
    "rationale_then_answer": "unrevised",
    "multitask": "revised",
    "counterfactual": "unrevised",
    "multitask+counterfactual": "revised",
}

Written = Callable[[Path], dict[str, int]]
Small = Callable[..., Experiment]
Scripted = Callable[[pytest.MonkeyPatch], ScriptedGenerator]


class Stop(Exception):
    """The test's own interruption."""


@dataclass
class Spy:
    """What training was given."""

    seen: list[list[Annotation]] = field(default_factory=list)
    held_out: list[list[Annotation]] = field(default_factory=list)
    stop_at: int | None = None


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    watched = Spy()
    train, split = training.train, training.split_held_out

    def seen_train(annotations: Sequence[Annotation], *rest: Any) -> Any:
        watched.seen.append(list(annotations))
        if len(watched.seen) == watched.stop_at:
            raise Stop
        return train(annotations, *rest)

    def seen_split(*arguments: Any) -> Any:
        parts = split(*arguments)
        watched.held_out.append(parts[1])
        return parts

    monkeypatch.setattr(training, "train", seen_train)
    monkeypatch.setattr(training, "split_held_out", seen_split)
    return watched


def test_examples(folder: Path) -> list[Example]:
    return [p.example for p in read_records(folder / "baselines" / "majority.jsonl", Prediction)]


test_examples.__test__ = False  # type: ignore[attr-defined]


def cell(folder: Path, condition: str = "multitask-unrevised", student: str = "llama") -> Path:
    return folder / "cells" / condition / student / "seed-0"


@pytest.fixture(scope="module")
def finished(
    small: Small, table: Path, scripted: Scripted, tmp_path_factory: pytest.TempPathFactory
) -> ExperimentRun:
    """A finished experiment of two cells; tests work on copies of its folder."""
    conditions = [{"method": "multitask"}, {"method": "answer_only"}]
    run = ExperimentRun(small(conditions=conditions), tmp_path_factory.mktemp("done"), table)
    with pytest.MonkeyPatch.context() as patch:
        scripted(patch)
        run.run()
    return run


@pytest.fixture
def done(finished: ExperimentRun, tmp_path: Path) -> ExperimentRun:
    folder = tmp_path / "done"
    shutil.copytree(finished.folder, folder)
    return ExperimentRun(finished.experiment, folder, finished.base)


def test_all_methods_and_kinds_of_students(
    small: Small,
    table: Path,
    teacher: ScriptedGenerator,
    tiny_models: dict[str, Path],
    spy: Spy,
    written: Written,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    experiment = small(
        conditions=[{"method": method, "data": data} for method, data in METHODS.items()],
        students=[
            {"model": f"hf:{tiny_models['llama']}", "name": "Tiny Llama"},
            {"model": f"hf:{tiny_models['t5']}", "name": "Tiny T5"},
        ],
    )
    folder = tmp_path / "run"
    report = ExperimentRun(experiment, folder, table).run()

    assert report == folder / "report.html"
    assert load_experiment(folder / "experiment.yaml") == experiment
    page = report.read_text()
    for name in ("places &amp; things", "Tiny Llama", "Tiny T5", "teacher", "majority", "random"):
        assert name in page, name
    for method, data in METHODS.items():
        assert f"{method} : {data}" in page

    wanted = [folder / "annotations.jsonl"]
    wanted += [folder / "teacher" / f"{name}.jsonl" for name in ("annotations", "predictions")]
    wanted += [folder / "baselines" / f"{name}.jsonl" for name in ("majority", "random")]
    cells = [
        folder / "cells" / f"{method}-{data}" / student / "seed-0"
        for method, data in METHODS.items()
        for student in ("Tiny-Llama", "Tiny-T5")
    ]
    names = ("student", "predictions.jsonl", "metrics.json")
    wanted += [place / name for place in cells for name in names]
    for output in wanted:
        assert output.exists(), output
        assert read_manifest(output).output_sha256, output
    assert {path.parent.parent for path in folder.rglob("distilwhy.json")} == set(cells)

    asked = [f"test-{number}" for number in [*range(20, 25), 11]]
    for place in cells:
        predictions = read_records(place / "predictions.jsonl", Prediction)
        assert [prediction.example.id for prediction in predictions] == asked
        metrics = Metrics.model_validate(read_json(place / "metrics.json"))
        assert metrics.n == 6
        assert metrics.accuracy == sum(p.correct for p in predictions) / 6
        assert metrics.unparsed == sum(p.answer is None for p in predictions)
        assert metrics.training is not None
        assert metrics.training.steps == 2
        card = read_card(place / "student")
        assert place.parent.parent.name == f"{card.condition.method}-{card.condition.data}"

    # The teacher says "shed" to all, which is right where the number is divisible by three.
    answers = read_records(folder / "teacher" / "predictions.jsonl", Prediction)
    assert [answer.correct for answer in answers] == [n % 3 == 0 for n in [*range(20, 25), 11]]

    assert "1 training examples are test questions and are left out." in capsys.readouterr().err
    annotated = read_records(folder / "annotations.jsonl", Annotation)
    assert [a.example.id for a in annotated] == [f"train-{number}" for number in range(11)]
    tested = {example.question.casefold() for example in test_examples(folder)}
    assert len(spy.seen) == len(cells)
    for seen, held_out in zip(spy.seen, spy.held_out, strict=True):
        assert seen == annotated
        assert not tested & {a.example.question.casefold() for a in seen}
        assert len(held_out) == 2
        assert all(each in seen for each in held_out)

    before, calls = written(folder), len(teacher.calls)
    assert ExperimentRun(experiment, folder, table).run() == report
    assert written(folder) == before
    assert len(teacher.calls) == calls
    assert len(spy.seen) == len(cells)


@pytest.mark.parametrize(
    ("lost", "redone"),
    [
        ("cells/multitask-unrevised/llama/seed-0/predictions.jsonl", "cells/multitask-unrevised"),
        ("cells/multitask-unrevised/llama/seed-0/student", "cells/multitask-unrevised"),
        ("cells/answer_only-unrevised/llama/seed-0/metrics.json", "cells/answer_only-unrevised"),
        ("teacher/predictions.jsonl", "teacher/predictions"),
        ("baselines/random.jsonl", "baselines/random"),
        ("annotations.jsonl", "annotations.jsonl"),
    ],
)
def test_a_lost_output_is_made_again_with_what_depends_on_it(
    lost: str,
    redone: str,
    done: ExperimentRun,
    teacher: ScriptedGenerator,
    spy: Spy,
    written: Written,
) -> None:
    before, path = written(done.folder), done.folder / lost
    content = None
    if path.is_dir():
        shutil.rmtree(path)
    else:
        content = path.read_bytes()
        path.unlink()
    ExperimentRun(done.experiment, done.folder, done.base).run()
    after = written(done.folder)
    assert after.keys() == before.keys()
    changed = {name for name in before if after[name] != before[name]} - {
        "report.html",
        "report.html.manifest.json",
    }
    assert all(name.startswith(redone) for name in changed), changed
    assert any(name.startswith(lost) for name in changed)
    assert len(spy.seen) == lost.endswith("student")
    if lost.endswith("student"):
        assert (
            cell(done.folder).joinpath("predictions.jsonl").relative_to(done.folder).as_posix()
            in changed
        )
    # The teacher's texts are in their stores, so it is asked nothing again.
    assert teacher.calls == []
    if content is not None and not lost.endswith("metrics.json"):
        assert path.read_bytes() == content


def test_a_changed_setting_redoes_what_depends_on_it(
    done: ExperimentRun, table: Path, small: Small, written: Written, spy: Spy
) -> None:
    before = written(done.folder)
    values = done.experiment.model_dump(mode="json")
    values["prediction"]["max_new_tokens"] = 4
    ExperimentRun(Experiment.model_validate(values), done.folder, table).run()
    after = written(done.folder)
    changed = {name for name in before if after[name] != before[name]}
    assert spy.seen == []
    for condition in ("multitask-unrevised", "answer_only-unrevised"):
        place = cell(done.folder, condition).relative_to(done.folder).as_posix()
        assert f"{place}/predictions.jsonl" in changed
        assert f"{place}/metrics.json" in changed
    assert {"experiment.yaml", "report.html"} <= changed
    assert "annotations.jsonl" not in changed
    assert not any(name.startswith(("teacher/", "baselines/")) for name in changed)


def test_a_run_stopped_in_training_goes_on_at_that_cell(
    small: Small,
    table: Path,
    teacher: ScriptedGenerator,
    spy: Spy,
    written: Written,
    tmp_path: Path,
) -> None:
    experiment = small(seeds=[0, 7])
    folder = tmp_path / "run"
    spy.stop_at = 2
    with pytest.raises(Stop):
        ExperimentRun(experiment, folder, table).run()
    assert not (folder / "report.html").exists()
    before, calls = written(folder), len(teacher.calls)
    assert (cell(folder) / "metrics.json").is_file()
    spy.stop_at = None
    ExperimentRun(experiment, folder, table).run()
    after = written(folder)
    assert {name: after[name] for name in before} == before
    assert len(spy.seen) == 3
    assert len(teacher.calls) == calls
    second = cell(folder).with_name("seed-7")
    assert (second / "metrics.json").is_file()
    assert read_card(second / "student").seed == 7
    # Another seed trains on another order and with another held-out part.
    assert spy.held_out[0] != spy.held_out[1]
    assert "multitask : unrevised, seed 7" in (folder / "report.html").read_text()


@pytest.mark.parametrize("stop_after", [5, 45])
def test_a_run_stopped_at_the_teacher_asks_nothing_twice(
    stop_after: int,
    small: Small,
    table: Path,
    teacher: ScriptedGenerator,
    spy: Spy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = teacher._write

    def tire(prompt: str) -> str:
        if len(teacher.calls) > stop_after:
            raise Stop
        return write(prompt)

    spy.stop_at = 1
    monkeypatch.setattr(teacher, "_write", tire)
    stopped = ExperimentRun(small(), tmp_path / "run", table)
    with pytest.raises(Stop):
        stopped.run()
    assert spy.seen == []
    first = teacher.calls[:-1]
    teacher.calls.clear()
    monkeypatch.setattr(teacher, "_write", write)
    with pytest.raises(Stop):
        ExperimentRun(small(), tmp_path / "run", table).run()
    second = list(teacher.calls)
    # 12 rationales, critiques, revisions and counterfactual rationales, and 6 answers.
    assert len(first) == stop_after
    assert len(first) + len(second) == len({*first, *second}) == 4 * 12 + 6


def test_given_annotations_take_the_teacher_s_place(
    done: ExperimentRun,
    table: Path,
    teacher: ScriptedGenerator,
    spy: Spy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = tmp_path / "elsewhere"
    shutil.copytree(table, base)
    shutil.copy(done.folder / "teacher" / "annotations.jsonl", base / "given.jsonl")
    values = done.experiment.model_dump(mode="json")
    values |= {"teacher": None, "annotations": "given.jsonl", "limits": {"train": 8, "test": 5}}
    values["conditions"] = values["conditions"][1:]
    (base / "experiment.yaml").write_text(to_yaml(Experiment.model_validate(values)))
    capsys.readouterr()
    report = run(base / "experiment.yaml", tmp_path / "given")

    folder = tmp_path / "given"
    assert teacher.calls == []
    assert not (folder / "teacher").exists()
    chosen = read_records(folder / "annotations.jsonl", Annotation)
    given = read_records(base / "given.jsonl", Annotation)
    assert len(chosen) == 8
    assert [a for a in given if a in chosen] == chosen
    tested = test_examples(folder)
    assert len(tested) == 5
    assert not {fingerprint(e) for e in tested} & {fingerprint(a.example) for a in chosen}
    assert spy.seen == [chosen]
    if any(example.id == "test-11" for example in tested):
        assert "left out" in capsys.readouterr().err
    assert "majority" in report.read_text()


def test_a_test_question_is_known_by_its_words_not_its_id() -> None:
    example = Example(id="a", question="Where is it?", choices=("shed", "lake"), answer="shed")
    assert fingerprint(example) == fingerprint(
        example.model_copy(update={"id": "b", "question": "WHERE is it?", "answer": "lake"})
    )
    for other in (
        {"question": "Where was it?"},
        {"choices": ("shed", "attic")},
        {"context": "It was moved."},
    ):
        assert fingerprint(example) != fingerprint(example.model_copy(update=other))


def test_two_processes_write_the_same_bytes(
    small: Small,
    table: Path,
    tiny_models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a local model as the teacher, so that nothing is scripted."""
    values = small().model_dump(mode="json")
    values["teacher"] |= {
        "model": f"hf:{tiny_models['llama']}",
        "max_new_tokens": 8,
        "steps": ["rationale"],
    }
    values["limits"] = {"train": 4, "test": 3}
    values["ask_teacher"] = False
    values["task"]["source"] = {split: str(table / f"{split}.csv") for split in ("train", "test")}
    path = tmp_path / "experiment.yaml"
    path.write_text(to_yaml(Experiment.model_validate(values)))
    # The teacher's precision is measured, and a measurement may come out otherwise.
    monkeypatch.setattr("distilwhy.models.precision.bf16_speedup", lambda: 1.0)
    run(path, tmp_path / "one")
    script = (
        "import sys; from distilwhy.models import precision; precision.bf16_speedup = lambda: 1.0;"
        "from distilwhy.pipeline.experiment import run; run(*sys.argv[1:])"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "77"}
    subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "two")],
        check=True,
        env=environment,
        capture_output=True,
    )
    for name in ("annotations.jsonl", "cells/multitask-unrevised/llama/seed-0/predictions.jsonl"):
        first = (tmp_path / "one" / name).read_bytes()
        assert first == (tmp_path / "two" / name).read_bytes(), name
        assert first.count(b"\n") >= 3


def test_the_report_shows_seconds_of_every_stage(done: ExperimentRun) -> None:
    from distilwhy.pipeline.collect import collect

    data = collect(done)
    trained = manifest_path(cell(done.folder) / "student")
    name = "multitask : unrevised"
    assert data.stage_seconds[f"train {name}"] == json.loads(trained.read_text())["seconds"]
    assert {entry.kind for entry in data.entries} == {"student", "teacher", "baseline"}
    assert (data.n_train, data.n_test) == (11, 6)
    pairs = {(comparison.a, comparison.b) for comparison in data.comparisons}
    assert pairs == {
        (name, "answer_only : unrevised"),
        (name, "teacher"),
        (name, "majority"),
        ("answer_only : unrevised", "teacher"),
        ("answer_only : unrevised", "majority"),
    }


def test_a_cell_whose_training_goes_wrong_stops_no_other(
    small: Callable[..., Experiment],
    table: Path,
    tiny_annotations: list[Annotation],
    tiny_models: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_models["llama"], broken)
    weights = load_file(broken / "model.safetensors")
    save_file(
        {name: torch.full_like(value, float("nan")) for name, value in weights.items()},
        broken / "model.safetensors",
        metadata={"format": "pt"},
    )
    write_records(tmp_path / "given.jsonl", tiny_annotations)
    students = [{"model": f"hf:{folder}"} for folder in (broken, tiny_models["llama"])]
    experiment = small(teacher=None, annotations=str(tmp_path / "given.jsonl"), students=students)
    run = ExperimentRun(experiment, tmp_path / "run", table)
    with pytest.raises(StageError, match=r"^Cell .*broken"):
        run.run()
    wrong, right = run.cells
    assert not wrong.predictions.exists()
    assert read_records(right.predictions, Prediction)
    assert "Cell 1 of 2 failed" in capsys.readouterr().err
