"""A user's own steps: what is asked, what is skipped, and the example of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from distilwhy.config import TeachingSettings, load_experiment
from distilwhy.errors import ConfigError
from distilwhy.files import read_records, write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline.checks import check_texts
from distilwhy.pipeline.experiment import ExperimentRun
from distilwhy.pipeline.stages import generate
from distilwhy.records import Annotation, Example
from distilwhy.students.views import ViewOptions, make_rows
from distilwhy.tasks.base import question_text
from distilwhy.teaching.annotate import annotate

EXAMPLES = [
    Example(id=f"q{n}", question=f"What is thing {n}?", choices=("sand", "rain"), answer="rain")
    for n in range(2)
]
HINT: dict[str, Any] = {
    "version": 1,
    "family": "multiple_choice",
    "header": "Hints that are $first.",
    "block": "$question\nBecause: $rationale\n$First hint for $answer:",
    "worked_examples": [
        {
            "question": "What burns?",
            "choices": ["ice", "wood"],
            "answer": "wood",
            "given": {"rationale": "Wood burns."},
            "text": "Think of a stove.",
        }
    ],
}
GRADE: dict[str, Any] = {
    **HINT,
    "header": "",
    "block": "$question\nHint: $hint\nGrade:",
    "worked_examples": [
        {**HINT["worked_examples"][0], "given": {"hint": "Think of a stove."}, "text": "Good."}
    ],
}


def settings(folder: Path, *steps: tuple[str, dict[str, Any]], **fields: Any) -> TeachingSettings:
    own = []
    for name, content in steps:
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        own.append({"name": name, "prompts": str(path)})
    values = {"shots": 3, "adjective_pairs": 1, "steps": ["rationale"], "own_steps": own}
    return TeachingSettings.model_validate(values | fields)


def write(prompt: str) -> str:
    last = prompt.rsplit("\n\n", 1)[-1]
    if last.endswith("Grade:"):
        return " Fine."
    if "hint for rain:" in last:
        return " Look up." if "thing 0" in last else ""
    return " Rain\tfalls."


def test_own_steps_build_on_what_came_before(tmp_path: Path) -> None:
    generator = ScriptedGenerator(write)
    chosen = settings(tmp_path, ("hint", HINT), ("grade", GRADE))
    result = annotate(EXAMPLES, generator, chosen, seed=0, store_path=tmp_path / "t.jsonl")
    first, second = result.annotations
    assert {name: text.text for name, text in first.extra.items()} == {
        "hint": "Look up.",
        "grade": "Fine.",
    }
    # Without a hint there is nothing to grade.
    assert {name: text.text for name, text in second.extra.items()} == {"hint": ""}
    assert second.extra["hint"].flags == ("empty",)
    (hint,) = {c for c in generator.calls if "hint for rain" in c and "thing 0" in c}
    adjective = re.match(r"Hints that are (\w+)\.\n\n", hint)
    assert adjective
    assert hint == (
        f"Hints that are {adjective[1]}.\n\n"
        "Question: What burns?\nChoices: (a) ice (b) wood\nBecause: Wood burns.\n"
        f"{adjective[1].capitalize()} hint for wood: Think of a stove.\n\n"
        "Question: What is thing 0?\nChoices: (a) sand (b) rain\nBecause: Rain falls.\n"
        f"{adjective[1].capitalize()} hint for rain:"
    )
    cost = result.cost.steps
    assert (cost["hint"].asked, cost["grade"].asked, cost["grade"].skipped) == (2, 1, 1)
    assert result.counts["hint"].flags == {"empty": 1}
    assert list(result.counts) == ["rationale", "hint", "grade"]


def test_a_view_of_an_own_step(tmp_path: Path) -> None:
    chosen = settings(tmp_path, ("hint", HINT))
    result = annotate(
        EXAMPLES, ScriptedGenerator(write), chosen, seed=0, store_path=tmp_path / "t.jsonl"
    )
    write_records(tmp_path / "a.jsonl", result.annotations)
    annotations = read_records(tmp_path / "a.jsonl", Annotation)
    (row,), nothing = make_rows(annotations, ["extra:hint"], ViewOptions())
    assert nothing == []
    assert (row.view, row.target) == ("extra:hint", "Look up.")
    assert row.source == f"[hint] {question_text(EXAMPLES[0])}\n"
    with pytest.raises(ConfigError, match="the view 'extra:hnt' learns from"):
        make_rows(annotations, ["extra:hnt"], ViewOptions())


def test_all_faults_of_a_file_are_reported_together(tmp_path: Path) -> None:
    bad = {
        **HINT,
        "header": "For $answer",
        "block": "$rationale $critique\n\n$who",
        "worked_examples": [
            {**HINT["worked_examples"][0], "given": {}},
            {**HINT["worked_examples"][0], "given": {"rationale": "R.", "revision": "V."}},
        ],
    }
    with pytest.raises(ConfigError) as caught:
        annotate(
            EXAMPLES,
            ScriptedGenerator(write),
            settings(tmp_path, ("hint", bad)),
            seed=0,
            store_path=tmp_path / "t.jsonl",
        )
    for fault in (
        "hint.yaml",
        "block lacks $question",
        "block has unknown $critique",  # the step does not run
        "block has unknown $who",
        "header has unknown $answer",
        "blank line",
        "worked example 1: given lacks rationale",
        "worked example 2: given has revision",
    ):
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"worked_examples": [{"question": "Q?", "choices": ["a"], "answer": "b"}]}, "text"),
        ({"block": "5 $ for $question"}, r"lone \$"),
        ({"family": "nli"}, "context"),
        ({"family": "yes_no"}, "family is 'yes_no' but the task's is 'multiple_choice'"),
        ({"extra": 1}, "unknown field 'extra'"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    chosen = settings(tmp_path, ("hint", {**HINT, **changes}))
    generator = ScriptedGenerator(write)
    with pytest.raises(ConfigError, match=fault):
        annotate(EXAMPLES, generator, chosen, seed=0, store_path=tmp_path / "t.jsonl")
    assert generator.calls == []


@pytest.mark.parametrize("name", ["rationale", "question", "first", "Hint", "my hint", ""])
def test_names_that_a_step_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="own_steps"):
        TeachingSettings.model_validate({"own_steps": [{"name": name, "prompts": "p.yaml"}]})


def test_two_steps_need_two_names() -> None:
    steps = [{"name": "hint", "prompts": path} for path in ("a.yaml", "b.yaml")]
    with pytest.raises(ValidationError, match="two have the same name"):
        TeachingSettings.model_validate({"own_steps": steps})


def test_the_example_of_the_docs_runs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
    for name in ("experiment.yaml", "hint.yaml"):
        (block,) = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", page, re.DOTALL)
        (tmp_path / name).write_text(block, encoding="utf-8")
    experiment = load_experiment(tmp_path / "experiment.yaml")
    run = ExperimentRun(experiment, tmp_path / "out", tmp_path)
    annotations = generate(
        experiment.task,
        run.teacher_settings,
        tmp_path / "out" / "a.jsonl",
        limit=3,
        generator=ScriptedGenerator(lambda prompt: " Think of it."),
    )
    assert [annotation.extra["hint"].text for annotation in annotations] == ["Think of it."] * 3
    check_texts(experiment.conditions, annotations)


def test_a_changed_file_is_noticed_by_the_stage(tmp_path: Path) -> None:
    chosen = settings(tmp_path, ("hint", HINT))
    teacher = {"model": "hf:scripted", **chosen.model_dump()}
    from distilwhy.config import TeacherSettings

    def hints() -> int:
        generator = ScriptedGenerator(write)
        generate(
            "mini",
            TeacherSettings.model_validate(teacher),
            tmp_path / "a.jsonl",
            limit=2,
            generator=generator,
        )
        return len(generator.calls)

    assert hints() == 4
    assert hints() == 0
    settings(tmp_path, ("hint", {**HINT, "header": "Other."}))
    assert hints() == 2  # the rationales are in the store
