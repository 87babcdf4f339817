"""Growing a task into files: an ordinary task, its findings, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from distilwhy.errors import ConfigError, DataError, StageError, StoppedError
from distilwhy.files import read_json, read_records, write_records
from distilwhy.generators.base import Decoding
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.growing.report import Rejected
from distilwhy.growing.settings import GrowingSettings
from distilwhy.pipeline import stages
from distilwhy.pipeline.grow import grow
from distilwhy.records import Example
from distilwhy.tasks import load_task

NAMES = ("duck", "seal", "trout", "otter", "swan", "frog")
NAMES += ("newt", "crab", "whale", "shark", "turtle", "eel")
QUESTIONS = [f"Can a {name} swim?" for name in NAMES]
SEEDS = [
    {"question": f"Can a {thing} swim?", "answer": answer, "family": "yes_no"}
    for thing, answer in (("kettle", "no"), ("goose", "yes"), ("brick", "no"), ("cod", "yes"))
]


def teacher(questions: Sequence[str] = QUESTIONS, first: int = 0) -> ScriptedGenerator:
    """Return a teacher that writes the questions in turn and answers each as it was asked for.

    Args:
        questions: The questions.
        first: Number of the example that the first question is written for.
    """
    told: dict[str, str] = {}

    def write(prompt: str) -> str:
        block = prompt.rsplit("\n\n", 1)[-1]
        if not block.startswith("Example "):
            return " " + told[block.split("\n")[0]]
        number = int(block.split("\n")[0].removeprefix("Example ")) - first
        question = questions[number % len(questions)]
        told[f"Question: {question}"] = block.split("\n")[1].removeprefix("Answer: ")
        return f" {question}"

    return ScriptedGenerator(write)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SEEDS))
    return path


def settings(**fields: Any) -> GrowingSettings:
    return GrowingSettings.model_validate({"model": "scripted", "n": 6, "samples": 1, **fields})


def test_the_result_is_an_ordinary_task(
    seeds: Path, tmp_path: Path, tiny_models: dict[str, Path]
) -> None:
    out = tmp_path / "swimmers"
    report = grow(
        "Which animals swim.",
        out,
        teacher=settings(validation=2, test=2),
        seeds=seeds,
        generator=teacher(),
    )
    assert (report.kept, report.whole) == (10, True)
    task = load_task(str(out / "task.yaml"))
    assert (task.name, task.family) == ("swimmers", "yes_no")
    train, validation = task.load("train"), task.load("validation")
    test = task.load("test")
    assert (len(train), len(validation), len(test)) == (6, 2, 2)
    assert sorted(str(item.answer) for item in train) == ["no"] * 3 + ["yes"] * 3
    assert train[0].id.startswith("swimmers-")
    assert read_json(out / "report.json")["kept"] == 10
    assert (tmp_path / "swimmers.manifest.json").is_file()
    annotations = stages.generate(
        str(out / "task.yaml"),
        stages.TeacherSettings(
            model=f"hf:{tiny_models['llama']}", shots=1, steps=("rationale",), max_new_tokens=4
        ),
        tmp_path / "annotations.jsonl",
    )
    assert [item.example for item in annotations] == train


def test_what_is_done_is_not_done_again(
    seeds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t"
    first = grow("Swimming.", out, teacher=settings(), seeds=seeds, generator=teacher())
    again = teacher()
    assert grow("Swimming.", out, teacher=settings(), seeds=seeds, generator=again) == first
    assert again.calls == []
    assert "is up to date." in capsys.readouterr().err
    (out / "train.jsonl").write_text("")
    assert grow("Swimming.", out, teacher=settings(), seeds=seeds, generator=again) == first
    assert again.calls == []
    assert len(load_task(str(out / "task.yaml")).load("train")) == 6


def test_the_task_s_test_examples_are_kept_clear_of(tmp_path: Path) -> None:
    rows = [
        {"id": f"r{n}", "text": f"My {thing} has not come.", "queue": "ABC"[n % 3]}
        for n, thing in enumerate(("parcel", "invoice", "letter", "refund", "card", "box"))
    ]
    for split in ("train", "test"):
        half = rows[:3] if split == "train" else rows[3:]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in half))
    labels = {"A": "delivery", "B": "billing", "C": "other"}
    fields = {
        "name": "mail",
        "source": str(tmp_path),
        "columns": {"id": "id", "question": "text", "answer": "queue"},
        "labels": labels,
    }
    texts = ["My refund has not come!", "My chair has a scratch.", "Ten cards were stolen."]
    texts += ["Nobody answers the phone.", "A box has not come."]

    report = grow(
        "Mail to a shop.",
        tmp_path / "out" / "more",
        teacher=settings(n=5, requests=5),
        task=fields,
        generator=teacher(texts, first=4),
    )
    assert report.reasons["near-duplicate of a test"] == 2
    rejected = read_records(tmp_path / "out" / "more" / "rejects.jsonl", Rejected)
    twins = {item.detail for item in rejected if item.reason == "near-duplicate of a test"}
    assert twins == {"1.00 like r3", "1.00 like r5"}
    with pytest.raises(ConfigError, match="The task has a test split"):
        grow("Mail.", tmp_path / "no", teacher=settings(test=2), task=fields, generator=teacher())
    task = load_task(str(tmp_path / "out" / "more" / "task.yaml"))
    assert [item.id for item in task.load("test")] == ["r3", "r4", "r5"]
    assert task.load("train")[0].choices == ("delivery", "billing", "other")


def test_other_files_are_kept_clear_of(seeds: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    write_records(
        other,
        [
            Example(id=f"o{name}", question=f"Does a {name} swim?", choices=("a", "b"), answer="a")
            for name in NAMES[:6]
        ],
    )
    report = grow(
        "Swimming.",
        tmp_path / "t",
        teacher=settings(n=12, requests=12),
        seeds=seeds,
        against=[other],
        generator=teacher(),
    )
    assert report.reasons["near-duplicate of a test"] == 6


def test_when_nothing_is_kept_the_rejects_say_why(seeds: Path, tmp_path: Path) -> None:
    silent = ScriptedGenerator(lambda prompt: "")
    with pytest.raises(StageError, match=r"No question of 60 was kept; .*rejects\.jsonl says why"):
        grow("Swimming.", tmp_path / "t", teacher=settings(), seeds=seeds, generator=silent)
    rejected = read_records(tmp_path / "t" / "rejects.jsonl", Rejected)
    assert [item.reason for item in rejected] == ["empty"] * 60
    assert not (tmp_path / "t" / "task.yaml").exists()


def test_mistakes_are_told_before_the_teacher_is_asked(seeds: Path, tmp_path: Path) -> None:
    def refused(kind: Any, description: str = "Swimming.", **fields: Any) -> str:
        with pytest.raises(kind) as error:
            grow(description, tmp_path / "t", teacher=settings(), **fields)
        return str(error.value.message)

    assert "description is empty" in refused(ConfigError, " ", seeds=seeds)
    assert "no seed examples" in refused(ConfigError)
    assert "is what the output is made from" in refused(DataError, seeds=tmp_path / "t")
    bad = tmp_path / "bad.jsonl"
    rows = [
        {"question": "Why?", "answer": "a"},
        {"question": "", "choices": ["a", "b"], "answer": "a"},
    ]
    bad.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = refused(DataError, seeds=bad)
    assert "bad.jsonl:1: choices are missing" in said
    assert "bad.jsonl:2: question is empty" in said
    bad.write_text('{"text": "Why?"}\n')
    assert "lacks the columns 'question', 'answer'" in refused(DataError, seeds=bad)
    assert "does not exist" in refused(DataError, seeds=seeds, against=[tmp_path / "none.jsonl"])


def test_a_description_may_be_a_file(seeds: Path, tmp_path: Path) -> None:
    (tmp_path / "about.txt").write_text("What\nswims.\n")
    generator = teacher()
    grow(
        tmp_path / "about.txt",
        tmp_path / "t",
        teacher=settings(),
        seeds=seeds,
        generator=generator,
    )
    assert generator.calls[0].startswith("What swims.\nBelow are numbered examples.")


@pytest.mark.slow
def test_the_embedded_model_grows_something_or_says_why_not(seeds: Path, tmp_path: Path) -> None:
    out = tmp_path / "real"
    chosen = settings(model="embedded", n=2, requests=6, max_new_tokens=24, agreement=0.1)
    try:
        report = grow("Which things can swim.", out, teacher=chosen, seeds=seeds)
    except StageError:
        assert len(read_records(out / "rejects.jsonl", Rejected)) == 6
        return
    task = load_task(str(out / "task.yaml"))
    train = task.load("train")
    assert len(train) == report.kept
    assert all(item.question.endswith("?") and item.answer in ("yes", "no") for item in train)
    assert yaml.safe_load((out / "task.yaml").read_text())["labels"] == ["yes", "no"]


def test_a_budget_stops_the_run_and_a_higher_one_goes_on(seeds: Path, tmp_path: Path) -> None:
    out, first, second = tmp_path / "t", teacher(), teacher()
    with pytest.raises(StoppedError) as stop:
        grow(
            "Swimming.",
            out,
            teacher=settings(budget={"tokens": 800}),
            seeds=seeds,
            generator=first,
        )
    assert stop.value.setting == "tokens"
    assert "Texts still missing: 6 question" in str(stop.value)
    assert not (out / "task.yaml").exists()
    stored = (tmp_path / "t.texts.jsonl").read_text().count("\n")
    assert 0 < stored == len(first.calls) < 12
    for prompt in first.calls:  # what the second teacher would have been told
        list(second.generate([prompt], Decoding()))
    again = len(second.calls)
    report = grow("Swimming.", out, teacher=settings(), seeds=seeds, generator=second)
    assert report.whole
    assert len(second.calls) - again == 12 - stored


def test_some_questions_may_have_a_context(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    rows = [{**row, "context": "It rains."} if n % 2 else row for n, row in enumerate(SEEDS)]
    seeds.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told: dict[str, str] = {}

    def write(prompt: str) -> str:
        block = prompt.rsplit("\n\n", 1)[-1]
        if not block.startswith("Example "):
            return told[next(line for line in block.split("\n") if line.startswith("Question: "))]
        number = int(block.split("\n")[0].removeprefix("Example "))
        told[f"Question: {QUESTIONS[number % 12]}"] = block.split("\n")[1].removeprefix("Answer: ")
        context = " The sun shines.\nQuestion:" if block.endswith("Context:") else ""
        return f"{context} {QUESTIONS[number % 12]}"

    grow(
        "Swimming.",
        tmp_path / "t",
        teacher=settings(n=12),
        seeds=seeds,
        generator=ScriptedGenerator(write),
    )
    train = load_task(str(tmp_path / "t" / "task.yaml")).load("train")
    assert {item.context for item in train} == {None, "The sun shines."}
