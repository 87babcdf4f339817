"""The tasks that docs/tasks.md declares are tasks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from distilwhy.tasks import load_task
from distilwhy.tasks.base import TASKS
from distilwhy.teaching.gates import GATES

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```yaml\n(.*?)```", (DOCS / "tasks.md").read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_declaration_loads(block: str) -> None:
    values = yaml.safe_load(block)
    assert load_task(values).name == values["name"]


def test_the_csv_example_is_read(tmp_path: Path) -> None:
    text = (DOCS / "tasks.md").read_text(encoding="utf-8")
    table = re.search(r"((?:    .*\n)+)\nbecomes a task", text)
    assert table
    lines = [line.removeprefix("    ") for line in table.group(1).splitlines()]
    (tmp_path / "questions.csv").write_text("\n".join(lines) + "\n")
    (values,) = [v for v in map(yaml.safe_load, BLOCKS) if v["name"] == "my-questions"]
    (example,) = load_task({**values, "fractions": {"train": 1}}, tmp_path).load("train")
    assert (example.id, example.question, example.answer) == ("q1", "Where, then?", "attic")


def test_every_builtin_task_and_gate_is_described() -> None:
    tasks, gates = (DOCS / "tasks.md").read_text(), (DOCS / "import.md").read_text()
    assert [name for name in TASKS if f"| `{name}` |" not in tasks] == []
    assert [name for name in GATES if f"| `{name}` |" not in gates] == []
