"""The built-in tasks: their rows, their splits, and how they are found by name, file or mapping."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distilwhy.errors import ConfigError, DataError
from distilwhy.tasks import TASKS, commonsense_qa, esnli, load_task, strategyqa
from distilwhy.tasks.table import TableTask

HUB_ROW = {
    "id": "x1",
    "question": "Where does a ferry land?",
    "choices": {"label": ["A", "B", "C"], "text": ["pier", "attic", "meadow"]},
    "answerKey": "B",
}
NLI_ROW = {"premise": "A man sleeps on a sofa.", "hypothesis": "A man rests.", "label": 0}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_commonsense_qa_rows_nested_and_flat_are_the_same() -> None:
    flat = {**HUB_ROW, "choices": ["pier", "attic", "meadow"], "answer": "attic"}
    del flat["answerKey"]
    nested = commonsense_qa.example_of(HUB_ROW, "train-1")
    assert nested == commonsense_qa.example_of(flat, "train-1")
    assert (nested.id, nested.answer, nested.choices) == (
        "x1",
        "attic",
        ("pier", "attic", "meadow"),
    )


def test_commonsense_qa_without_answers_or_id() -> None:
    example = commonsense_qa.example_of({**HUB_ROW, "answerKey": "", "id": None}, "test-3")
    assert (example.id, example.answer) == ("test-3", None)
    with pytest.raises(ValueError, match="answerKey 'E' is not among A, B, C"):
        commonsense_qa.example_of({**HUB_ROW, "answerKey": "E"}, "test-3")


@pytest.mark.parametrize(
    ("label", "answer"),
    [(0, "entailment"), ("1", "neutral"), (2, "contradiction"), ("Neutral", "neutral")],
)
def test_esnli_labels(label: object, answer: str) -> None:
    example = esnli.example_of({**NLI_ROW, "label": label}, "train-4")
    assert (example.answer, example.family, example.id) == (answer, "nli", "train-4")
    assert (example.context, example.question) == ("A man sleeps on a sofa.", "A man rests.")


@pytest.mark.parametrize("label", [-1, 3, None, True])
def test_esnli_rows_without_a_label_are_refused(label: object) -> None:
    with pytest.raises(ValueError, match="is not 0, 1 or 2"):
        esnli.example_of({**NLI_ROW, "label": label}, "train-4")


@pytest.mark.parametrize(
    ("answer", "choice"), [(True, "yes"), (False, "no"), ("false", "no"), ("Yes", "yes")]
)
def test_strategyqa_answers(answer: object, choice: str) -> None:
    example = strategyqa.example_of({"qid": "q9", "question": "Can it fly?", "answer": answer}, "-")
    assert (example.id, example.answer, example.family) == ("q9", choice, "yes_no")
    assert example.choices == ("yes", "no")


def test_commonsense_qa_tests_on_the_validation_split(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [HUB_ROW])
    write(tmp_path / "validation.jsonl", [{**HUB_ROW, "id": "v1"}])
    write(tmp_path / "test.jsonl", [{**HUB_ROW, "id": "t1", "answerKey": ""}])
    task = load_task({"name": "commonsense_qa", "source": str(tmp_path)})
    assert [example.id for example in task.load("test")] == ["v1"]
    with pytest.raises(ConfigError, match="no validation split"):
        task.load("validation")
    (tmp_path / "validation.jsonl").unlink()
    assert [example.id for example in task.load("test")] == ["t1"]


def test_esnli_puts_up_with_few_unlabelled_rows_and_writes_them_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{**NLI_ROW, "label": -1 if number == 7 else number % 3} for number in range(60)]
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "test.jsonl", rows[:10])
    task = load_task({"name": "esnli", "source": str(tmp_path)}, rejects=tmp_path / "rejects")
    examples = task.load("train")
    assert len(examples) == 59
    assert [example.id for example in examples[6:8]] == ["train-7", "train-9"]
    assert "1 of 60 rows were left out" in caplog.text
    reject = json.loads((tmp_path / "rejects" / "esnli-train.jsonl").read_text())
    assert reject["place"].endswith("train.jsonl:8")
    assert reject["reason"] == "label -1 is not 0, 1 or 2"
    assert reject["row"] == rows[7]
    with pytest.raises(DataError, match=r"test\.jsonl:8: label -1"):
        task.load("test")


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    rows = [
        HUB_ROW,
        {**HUB_ROW, "id": "x2", "answerKey": "Z"},
        {**HUB_ROW},
        {**HUB_ROW, "id": "x4", "question": " "},
        {**HUB_ROW, "id": "x5", "choices": "pier, attic"},
    ]
    write(tmp_path / "train.jsonl", rows)
    task = load_task({"name": "commonsense_qa", "source": {"train": "train.jsonl"}}, tmp_path)
    with pytest.raises(DataError) as caught:
        task.load("train")
    lines = caught.value.message.splitlines()
    assert "4 of 5 rows unusable" in lines[0]
    assert [line.split("train.jsonl:", 1)[1] for line in lines[1:]] == [
        "2: answerKey 'Z' is not among A, B, C",
        f"3: id 'x1' stands in {tmp_path / 'train.jsonl:1'} too",
        "4: question is empty",
        "5: choices is not a list",
    ]


def test_missing_columns_are_named_in_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [{"premise": "A man sleeps.", "gold": 1}])
    task = load_task({"name": "esnli", "source": {"train": "train.jsonl"}}, tmp_path)
    with pytest.raises(DataError, match="lacks the columns 'hypothesis', 'label'") as caught:
        task.load("train")
    assert caught.value.remedy == "It has: premise, gold."


def test_limit_draws_by_seed_and_keeps_order(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [{**HUB_ROW, "id": f"{number:02}"} for number in range(40)])
    task = load_task({"name": "commonsense_qa", "source": {"train": "train.jsonl"}}, tmp_path)
    drawn = [example.id for example in task.load("train", limit=10, seed=3)]
    assert len(set(drawn)) == 10
    assert drawn == sorted(drawn)
    assert drawn == [example.id for example in task.load("train", limit=10, seed=3)]
    assert drawn != [example.id for example in task.load("train", limit=10, seed=4)]
    assert len(task.load("train", limit=99)) == 40


@pytest.mark.parametrize(
    ("name", "source", "family"),
    [
        ("commonsense_qa", "tau/commonsense_qa", "multiple_choice"),
        ("esnli", "esnli/esnli", "nli"),
        ("strategyqa", "ChilleD/StrategyQA", "yes_no"),
    ],
)
def test_names_load_the_hub(name: str, source: str, family: str) -> None:
    task = load_task(name)
    assert isinstance(task, TableTask)
    assert (task.name, task.family, task.settings.source) == (name, family, source)
    assert load_task({"name": name}) is TASKS.get(name)


def test_a_new_source_leaves_the_builtin_revision_behind() -> None:
    builtin, mine = load_task("esnli"), load_task({"name": "esnli", "source": "me/esnli"})
    other = load_task({"name": "esnli", "max_rejects": 0.5})
    assert isinstance(builtin, TableTask)
    assert isinstance(mine, TableTask)
    assert isinstance(other, TableTask)
    assert builtin.settings.revision == other.settings.revision == "refs/convert/parquet"
    assert mine.settings.revision is None
    assert mine.settings.max_rejects == builtin.settings.max_rejects
    assert other.settings.max_rejects == 0.5


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("commonsenseqa", "no task named 'commonsenseqa'"),
        ({"name": "esnly", "source": "x"}, "no task named 'esnly'"),
        ({"name": "esnli", "sauce": "x"}, "unknown field 'sauce'"),
        ({"name": "mini", "source": "x"}, "has no fields to set"),
        ({"source": "x"}, "name: field required"),
        ("missing.yaml", "does not exist"),
    ],
)
def test_wrong_tasks_are_refused(task: Any, fault: str) -> None:
    with pytest.raises((ConfigError, DataError), match=fault):
        load_task(task)


def test_a_task_file_is_found_beside_the_experiment(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", [HUB_ROW])
    (tmp_path / "task.yaml").write_text("name: commonsense_qa\nsource: {train: rows.jsonl}\n")
    assert [example.id for example in load_task("task.yaml", tmp_path).load("train")] == ["x1"]
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="does not hold fields"):
        load_task("list.yaml", tmp_path)


def test_importing_tasks_is_light() -> None:
    code = (
        "import sys, distilwhy.tasks; "
        "print([m for m in ('torch', 'transformers', 'datasets', 'pyarrow', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
