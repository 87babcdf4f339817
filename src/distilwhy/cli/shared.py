"""What several commands share: options, the task from its options, printing results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

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
    return {"name": name, "source": {split: source} if Path(source).is_file() else source}


def show(result: Any, as_json: bool, text: str) -> None:
    """Print a result: as JSON for machines, else as a sentence.

    Args:
        result: A mapping or a record.
        as_json: Whether JSON is wanted.
        text: The sentence.
    """
    if as_json:
        value = result.model_dump(mode="json") if hasattr(result, "model_dump") else result
        print(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        print(text)


def set_options(**options: Any) -> dict[str, Any]:
    """Return only the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
