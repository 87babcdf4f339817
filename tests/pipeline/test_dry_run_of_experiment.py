"""A dry run of an experiment tells what the real one then asks its teacher, and asks nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import Experiment, to_yaml
from distilwhy.errors import ConfigError, DataError
from distilwhy.files import read_records, write_records
from distilwhy.generators.recorded import StoredText
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline.dry_run import TEST_ANSWER, forecast_run
from distilwhy.pipeline.experiment import run
from distilwhy.records import Annotation

Make = Callable[..., Experiment]
TEACHER = {"shots": 1, "adjective_pairs": 1, "counterfactuals": "one"}


@pytest.fixture
def write(small: Make, table: Path) -> Iterator[Callable[..., Path]]:
    """Writes an experiment file beside its task's tables."""
    file = table / "dry.yaml"

    def written(**fields: Any) -> Path:
        file.write_text(to_yaml(small(**fields)))
        return file

    yield written
    file.unlink(missing_ok=True)


def test_it_tells_what_a_real_run_asks(
    write: Callable[..., Path], teacher: ScriptedGenerator, tmp_path: Path
) -> None:
    prices = {"prompt": 2.0, "completion": 8.0}
    model = "http://localhost:9/v1#m"  # no server is asked
    file, out = write(teacher={**TEACHER, "model": model, "prices": prices}), tmp_path / "run"
    told = forecast_run(file, out)
    assert told is not None
    assert teacher.calls == []
    assert not out.exists()
    run(file, out)
    stores = [path for path in out.rglob("*.texts.jsonl") if path.stat().st_size]
    texts = [text for path in stores for text in read_records(path, StoredText)]
    asked = Counter(text.step for text in texts)
    asked[TEST_ANSWER] = asked.pop("answer")
    assert {step: figures.texts for step, figures in told.steps.items()} == asked
    assert told.total.usd is not None
    again = forecast_run(file, out)
    assert again is not None
    assert again.total.texts == again.total.usd == 0
    assert again.spent_tokens == sum(t.prompt_tokens + t.completion_tokens for t in texts)


def test_own_answers_alone_and_no_teacher_at_all(
    write: Callable[..., Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    given = {"annotations": str(tmp_path / "given.jsonl"), "teacher": None}
    with pytest.raises(DataError, match=r"given\.jsonl does not exist"):
        forecast_run(write(**given), tmp_path)
    write_records(tmp_path / "given.jsonl", tiny_annotations)
    assert forecast_run(write(**given), tmp_path) is None
    settings = {**TEACHER, "model": "http://localhost:9/v1#m"}
    assert (told := forecast_run(write(teacher=settings, ask_teacher=False), tmp_path)) is not None
    assert TEST_ANSWER not in told.steps


def test_an_experiment_that_could_not_run_is_refused(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    settings = {**TEACHER, "model": "http://localhost:9/v1#m", "steps": ["rationale"]}
    file = write(teacher=settings, conditions=[{"method": "counterfactual"}])
    with pytest.raises(ConfigError, match="counterfactual"):
        forecast_run(file, tmp_path)
