"""From what an experiment file says to a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distilwhy.config import read_yaml
from distilwhy.errors import ConfigError
from distilwhy.files import TABLE_SUFFIXES
from distilwhy.tasks.base import TASKS, Task
from distilwhy.tasks.custom import custom_task
from distilwhy.tasks.table import TableTask

_CUSTOM_FIELDS = {"family", "columns", "labels"}


def load_task(
    task: str | Mapping[str, Any], base: Path | None = None, rejects: Path | None = None
) -> Task:
    """Return the task that a name, a task file or a mapping describes; no data are read yet.

    Args:
        task: A registered name (``commonsense_qa``), the path of a YAML task file, or a mapping: a
            custom task, or a registered one with another source
            (``{name: commonsense_qa, source: my-folder}``).
        base: Folder that relative paths start from; ``None`` is the working folder.
        rejects: Folder for files of rejected rows; ``None`` is ``rejects`` in the working folder.

    Raises:
        ConfigError: When there is no such task, or naming all faults of the mapping together.
        DataError: When the task file cannot be read.
    """
    found = _from_mapping(task, base) if isinstance(task, Mapping) else _from_text(task, base)
    if rejects is not None and isinstance(found, TableTask):
        return replace(found, rejects=rejects)
    return found


def task_fields(text: str) -> dict[str, Any] | None:
    """Return the fields of a task file; ``None`` for the name of a task.

    Args:
        text: The file or name.

    Raises:
        ConfigError: When the file is not YAML or holds no fields.
        DataError: When the file cannot be read.
    """
    path = _task_file(text, None)
    return None if path is None else _fields_of(path)


def _from_text(text: str, base: Path | None) -> Task:
    path = _task_file(text, base)
    return TASKS.get(text) if path is None else _from_mapping(_fields_of(path), path.parent)


def _task_file(text: str, base: Path | None) -> Path | None:
    """Return the task file that a text names, or ``None`` where it is the name of a task."""
    if text in TASKS:
        return None
    path = Path(text).expanduser()
    if not path.is_absolute() and base is not None and (base / path).is_file():
        path = base / path
    return path if path.suffix.lower() in (".yaml", ".yml") or path.is_file() else None


def _fields_of(path: Path) -> dict[str, Any]:
    if path.suffix.lower() in TABLE_SUFFIXES and path.suffix.lower() != ".json":
        raise ConfigError(
            f"{path} is a table, not a task file.",
            "Write a task file that names it as source and says what its columns hold "
            "(docs/tasks.md).",
        )
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} does not hold fields.", "Write 'field: value' lines.")
    return values


def _from_mapping(values: Mapping[str, Any], base: Path | None) -> Task:
    name = values.get("name")
    if not isinstance(name, str) or _CUSTOM_FIELDS & set(values):
        return custom_task(values, base)
    task = TASKS.get(name)
    if set(values) == {"name"}:
        return task
    if not isinstance(task, TableTask):
        raise ConfigError(
            f"The task {name!r} brings its own rows and has no fields to set.",
            "Give its name alone.",
        )
    return task.configured(values, base)
