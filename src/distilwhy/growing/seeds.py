"""Reading the seed examples, the task that they belong to, and the examples to keep clear of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilwhy.errors import ConfigError, DataError, Fault, raise_faults
from distilwhy.files import TABLE_SUFFIXES, read_table
from distilwhy.records import Example
from distilwhy.tasks import esnli, load_task, strategyqa
from distilwhy.tasks.base import Task
from distilwhy.tasks.rows import Row, check_columns, is_blank, read_examples, text_of
from distilwhy.tasks.table import TableTask

SEEDS_DRAWN = 20
_LABELS = {"nli": esnli.LABELS, "yes_no": strategyqa.CHOICES}
_FORM = (
    "Columns: question, answer, choices (a list; families nli and yes_no do without), and where "
    "there are such: context, id, family."
)


def read_seeds(seeds: Path | None, task: Task | None, seed: int) -> list[Example]:
    """Return the seed examples.

    Args:
        seeds: A table of rows: in the task's own form where it is read from a table, else in the
            form of :class:`distilwhy.records.Example`. ``None`` draws 20 examples of the task's
            training split.
        task: The task that they belong to, if there is one.
        seed: Seed of that draw.

    Raises:
        ConfigError: When neither is given.
        DataError: Naming all faulty rows together.
    """
    if seeds is None:
        if task is None:
            raise ConfigError("There are no seed examples.", "Give --seeds FILE, or a task.")
        return task.load("train", SEEDS_DRAWN, seed)
    if isinstance(task, TableTask):
        return _as_rows_of(task, seeds)
    return read_form(seeds)


def read_against(source: Path, task: Task | None) -> list[Example]:
    """Return examples that no new one may repeat.

    Args:
        source: A table of rows, or a task file, whose test split is read.
        task: The task that the seed examples belong to, if there is one.
    """
    if source.suffix.lower() in (".yaml", ".yml"):
        return load_task(str(source)).load("test")
    return read_seeds(source, task, 0)


def test_examples(task: Task) -> list[Example]:
    """Return a task's test examples; none where it has no such split."""
    try:
        return task.load("test")
    except ConfigError as error:
        if "no test split" in error.message:
            return []
        raise


def read_form(path: Path) -> list[Example]:
    """Return the examples of a table in the form of :class:`distilwhy.records.Example`.

    Ids may be left out, and the choices of ``nli`` and ``yes_no`` questions, too.

    Raises:
        DataError: Naming all faulty rows together.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"{path} is not a table of examples.", f"Give a JSONL file. {_FORM}")
    rows = read_table(path)
    check_columns(rows, ("question", "answer"), str(path))
    examples, rejects = read_examples(rows, _example, path.stem)
    raise_faults(DataError, str(path), [Fault(item.place, item.reason) for item in rejects], _FORM)
    return examples


def _example(row: Row, fallback_id: str) -> Example:
    family = "multiple_choice" if is_blank(row, "family") else text_of(row, "family")
    answer = text_of(row, "answer")
    choices: Any = row.get("choices")
    if isinstance(choices, str):
        choices = [choice.strip() for choice in choices.split("|")]
    if not choices:
        choices = _LABELS.get(family)
        answer = answer.lower()
    if choices is None:
        raise ValueError("choices are missing")
    if not isinstance(choices, Sequence | tuple):
        raise ValueError("choices are not a list")
    values: Mapping[str, Any] = {
        "id": fallback_id if is_blank(row, "id") else text_of(row, "id"),
        "question": text_of(row, "question"),
        "choices": tuple(str(choice).strip() for choice in choices),
        "answer": answer,
        "context": None if is_blank(row, "context") else text_of(row, "context"),
        "family": family,
    }
    return Example.model_validate(values)


def _as_rows_of(task: TableTask, path: Path) -> list[Example]:
    """Read a file as the task's own rows are read."""
    return task.configured({"source": {"train": str(path)}}, None).load("train")
