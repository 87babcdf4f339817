"""One budget for all that an experiment asks its teacher, and a teacher that changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.config import Experiment, TeacherSettings
from distilwhy.errors import DataError, StoppedError
from distilwhy.files import read_records
from distilwhy.generators.recorded import StoredText
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline import stages
from distilwhy.pipeline.beside import store_path
from distilwhy.pipeline.experiment import ExperimentRun

Make = Callable[..., Experiment]


def spent(folder: Path) -> int:
    """Return the tokens of all texts in a folder's stores."""
    stores = [path for path in folder.rglob("*.texts.jsonl") if path.stat().st_size]
    texts = [text for path in stores for text in read_records(path, StoredText)]
    return sum(text.prompt_tokens + text.completion_tokens for text in texts)


def test_one_budget_for_annotations_and_the_teachers_own_answers(
    small: Make, teacher: ScriptedGenerator, table: Path, tmp_path: Path
) -> None:
    free = small()
    ExperimentRun(free, tmp_path / "free", table).run()
    whole, asked = spent(tmp_path / "free"), list(teacher.calls)

    def run(tokens: int) -> None:
        teacher = {**free.model_dump()["teacher"], "budget": {"tokens": tokens}}
        ExperimentRun(small(teacher=teacher), tmp_path / "run", table).run()

    teacher.calls.clear()
    with pytest.raises(StoppedError) as caught:
        run(whole // 2)
    assert caught.value.setting == "tokens"
    assert 0 < spent(tmp_path / "run") <= whole // 2
    assert sum(caught.value.missing.values()) == 12 * 4 - len(teacher.calls)

    with pytest.raises(StoppedError) as caught:
        run(whole - 1)
    assert spent(tmp_path / "run") < whole
    assert set(caught.value.missing) == {"answer"}
    assert not (tmp_path / "run" / "teacher" / "predictions.jsonl").exists()

    run(2 * whole)
    assert spent(tmp_path / "run") == whole
    assert sorted(teacher.calls) == sorted(asked)
    predictions = [tmp_path / name / "teacher" / "predictions.jsonl" for name in ("run", "free")]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()


def test_a_local_teacher_that_changed_is_refused(
    tiny_models: dict[str, Path], task: dict[str, object], table: Path, tmp_path: Path
) -> None:
    model = tmp_path / "teacher"
    shutil.copytree(tiny_models["llama"], model)
    teacher = TeacherSettings.model_validate(
        {
            "model": f"hf:{model}",
            "shots": 1,
            "steps": ["rationale"],
            "max_new_tokens": 3,
            "precision": "fp32",
        }
    )
    out = tmp_path / "a.jsonl"

    def generate(limit: int) -> None:
        stages.generate(task, teacher, out, limit=limit, base=table)

    generate(1)
    generate(2)
    store = store_path(out).read_bytes()
    shutil.copy(tiny_models["gpt2"] / "model.safetensors", model)
    with pytest.raises(DataError, match="as it was before its files changed") as caught:
        generate(3)
    assert "remove the store and its ledger" in caught.value.remedy
    with pytest.raises(DataError):
        generate(2)  # finished as it was, but not with this teacher
    assert store_path(out).read_bytes() == store
    shutil.copy(tiny_models["llama"] / "model.safetensors", model)
    generate(2)
    assert store_path(out).read_bytes() == store


def test_a_store_goes_on_in_the_precision_that_it_was_begun_in(
    tiny_models: dict[str, Path],
    task: dict[str, object],
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "a.jsonl"

    def generate(precision: str, limit: int) -> None:
        fields = {"model": f"hf:{tiny_models['llama']}", "shots": 1, "steps": ["rationale"]}
        teacher = TeacherSettings.model_validate(
            {**fields, "max_new_tokens": 3, "precision": precision}
        )
        stages.generate(task, teacher, out, limit=limit, base=table)

    monkeypatch.setattr("distilwhy.models.precision.bf16_speedup", lambda: 0.5)
    generate("auto", 1)
    generate("fp32", 2)
    store = store_path(out).read_bytes()
    with pytest.raises(DataError, match="in fp32, not in bf16") as caught:
        generate("bf16", 2)  # although all texts are there
    assert "precision: fp32" in caught.value.remedy
    monkeypatch.setattr("distilwhy.models.precision.bf16_speedup", lambda: 8.0)
    with pytest.raises(DataError, match="in fp32, not in bf16"):
        generate("auto", 3)
    assert store_path(out).read_bytes() == store
    generate("fp32", 3)
