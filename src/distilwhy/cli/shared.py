"""What several commands share: options, the task from its options, printing results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from distilwhy.ranks import rank

if TYPE_CHECKING:
    from distilwhy.config import Settings

SettingsT = TypeVar("SettingsT", bound="Settings")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all draws.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Use so many examples at most, drawn by seed.")
]
TaskName = Annotated[
    str, typer.Option("--task", help="A task's name (mini, commonsense_qa, ...) or task file.")
]
Source = Annotated[
    str | None,
    typer.Option(help="Read the task's rows from this file, folder or Hub name instead."),
]


def task_of(name: str, source: str | None, split: str) -> str | dict[str, Any]:
    """Return the task that ``--task`` and ``--source`` describe.

    Args:
        name: A task's name or file.
        source: Another source of its rows, if any; a single file holds the wanted split.
        split: The wanted split.
    """
    if source is None:
        return name
    from distilwhy.tasks.load import task_fields

    rows = {split: source} if Path(source).is_file() else source
    fields = task_fields(name)
    if fields is None:
        return {"name": name, "source": rows}
    if isinstance(rows, dict):
        fields.pop("fractions", None)
    return {**fields, "source": rows}


def settings_of(kind: type[SettingsT], values: dict[str, Any], command: str) -> SettingsT:
    """Return the settings that a command's options make; all faults are reported together.

    Args:
        kind: The settings class.
        values: The options given, by field.
        command: The command's name.
    """
    from distilwhy.config import validate

    return validate(kind, values, f"distilwhy {command}", f"See distilwhy {command} --help.")


def yaml_fields(kind: type[Settings], path: Path | None) -> dict[str, Any]:
    """Return the fields that a file sets; none where there is no file.

    Args:
        kind: The settings class that the file is of.
        path: A YAML file.
    """
    if path is None:
        return {}
    from distilwhy.config import read_yaml, validate

    values: dict[str, Any] = read_yaml(path)
    validate(kind, values, str(path))
    return values


def show(result: Any, as_json: bool, text: str) -> None:
    """Print a result: as JSON for machines, else as a sentence.

    Args:
        result: A mapping or a record.
        as_json: Whether JSON is wanted.
        text: The sentence.
    """
    if rank():
        return
    if as_json:
        value = result.model_dump(mode="json") if hasattr(result, "model_dump") else result
        print(json.dumps(value, indent=2))  # in ASCII, which every terminal and pipe can hold
    else:
        print(text)


def plain(text: str) -> str:
    """Return text from files or models as a terminal may get it: control characters as escapes."""
    return "".join(
        mark if mark == "\n" or mark.isprintable() else mark.encode("unicode_escape").decode()
        for mark in text
    )


def set_options(**options: Any) -> dict[str, Any]:
    """Return only the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
