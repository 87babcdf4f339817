"""Runs from a table laid out as the paper's files are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilwhy.comparison.runs import Run
from distilwhy.errors import Fault
from distilwhy.files import read_table

COLUMNS = ("run", "test accuracy", "target_rationale", "model_size", "training_mode")
MODES = {
    "task-prefix": "MT",
    "counterfactual-prefix": "CF",
    "both": "MT+CF",
    "standard": "standard",
}
TARGETS = {"few-shot-positive-rationale": "", "few-shot-revision": " revised"}


def read_run_table(path: Path, others: bool) -> tuple[list[Run], list[Fault]]:
    """Read the runs of one table; accuracies are as they stand there.

    Args:
        path: CSV, TSV, JSONL, JSON list or Parquet with the columns of :data:`COLUMNS`.
        others: Whether conditions that the paper's files do not have are kept under their own
            names.

    Returns:
        The runs, and what is wrong with the table.

    Raises:
        DataError: When the file cannot be read at all.
    """
    runs: list[Run] = []
    faults: list[Fault] = []
    rows = [(place, {str(k).strip(): v for k, v in row.items()}) for place, row in read_table(path)]
    there = list(dict.fromkeys(name for _, row in rows for name in row))
    missing = [name for name in COLUMNS if name not in there]
    if missing:
        lacks = ", ".join(map(repr, missing))
        return [], [Fault(str(path), f"lacks the columns {lacks}; it has: {', '.join(there)}")]
    for place, row in rows:
        wrong = list(_faults(row, others))
        faults += [Fault(place, what) for what in wrong]
        if not wrong:
            runs.append(
                Run(
                    condition=_condition(
                        _text(row, "training_mode"), _text(row, "target_rationale")
                    ),
                    size=_text(row, "model_size"),
                    run=_text(row, "run"),
                    accuracy=float(row["test accuracy"]),
                    place=place,
                )
            )
    return runs, faults


def _condition(mode: str, target: str) -> str:
    if mode in MODES and target in TARGETS:
        return MODES[mode] + TARGETS[target]
    return f"{mode} : {target}"


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _faults(row: Mapping[str, Any], others: bool) -> list[str]:
    """Return what is wrong with one row."""
    wrong = [f"{name} is empty" for name in COLUMNS if not _text(row, name)]
    text = _text(row, "test accuracy")
    try:
        value = float(text) if text else None
    except ValueError:
        wrong.append(f"test accuracy {text!r} is no number")
    else:
        if value is not None and not (math.isfinite(value) and 0 <= value <= 100):
            wrong.append(f"test accuracy {text} is neither a share nor a percentage")
    if not others:
        for column, known in (("training_mode", MODES), ("target_rationale", TARGETS)):
            if (name := _text(row, column)) and name not in known:
                wrong.append(f"unknown {column} {name!r} (known: {', '.join(known)})")
    return wrong
