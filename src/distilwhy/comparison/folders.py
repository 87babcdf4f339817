"""Runs from metrics.json files and folders of experiments."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from distilwhy.comparison.runs import Run
from distilwhy.config import load_experiment
from distilwhy.errors import Fault
from distilwhy.evaluation.metrics import Metrics
from distilwhy.files import describe, read_json, slug

METRICS = "metrics.json"
NAMES = {
    "counterfactual-unrevised": "CF",
    "multitask-unrevised": "MT",
    "multitask+counterfactual-unrevised": "MT+CF",
    "multitask+counterfactual-revised": "MT+CF revised",
    "counterfactual-revised": "CF revised",
    "multitask-revised": "MT revised",
}
"""The paper's names of conditions by the names of their folders."""


def read_run_folder(folder: Path) -> tuple[list[Run], list[Fault]]:
    """Read all runs below a folder: an experiment, or any part of one.

    Args:
        folder: A folder with ``metrics.json`` files, as ``distilwhy run`` lays them out.

    Returns:
        The runs, and what is wrong with them; cells that are not done are.

    Raises:
        ConfigError: When its experiment file cannot be read.
    """
    found = sorted(folder.rglob(METRICS))
    undone = _undone(folder, set(found))
    faults = []
    if undone:
        named = ", ".join(str(cell.relative_to(folder)) for cell in undone[:3])
        more = f" and {len(undone) - 3} more" if len(undone) > 3 else ""
        total = len(undone) + len(found)
        faults.append(
            Fault(str(folder), f"{len(undone)} of {total} cells are not done: {named}{more}")
        )
    elif not found:
        faults.append(Fault(str(folder), f"holds no {METRICS}; its students are not evaluated yet"))
    runs = []
    for path in found:
        run, wrong = read_metrics_file(path)
        faults += wrong
        runs += [run] if run else []
    return runs, faults


def read_metrics_file(path: Path) -> tuple[Run | None, list[Fault]]:
    """Read one run; its folder's place tells condition, student and seed.

    Args:
        path: A ``metrics.json`` in a folder ``CONDITION/STUDENT/seed-N``.

    Returns:
        The run, unless something is wrong with it, and what is.

    Raises:
        DataError: When it is not JSON.
    """
    seed, student, condition = (parent.name for parent in [*path.resolve().parents][:3])
    faults = []
    if not seed.startswith("seed-") or not student or not condition:
        faults.append(
            Fault(
                str(path),
                "does not lie in a folder CONDITION/STUDENT/seed-N, so that its condition is not "
                "known",
            )
        )
    try:
        metrics = Metrics.model_validate(read_json(path))
    except ValidationError as error:
        return None, [*faults, *(Fault(str(path), what) for what in describe(error))]
    if not 0 <= metrics.accuracy <= 1:
        faults.append(Fault(str(path), f"accuracy {metrics.accuracy} is no share"))
    if faults:
        return None, faults
    predictions = path.parent / "predictions.jsonl"
    run = Run(
        condition=NAMES.get(condition, condition),
        size=student,
        run=seed.removeprefix("seed-"),
        accuracy=metrics.accuracy,
        place=str(path),
        questions=metrics.n,
        predictions=predictions if predictions.is_file() else None,
        collapsed=metrics.collapsed,
    )
    return run, []


def _undone(folder: Path, found: set[Path]) -> list[Path]:
    """Return the cells without figures: those begun, and those that the experiment file wants."""
    cells = {path for path in folder.rglob("seed-*") if path.is_dir()}
    file = folder / "experiment.yaml"
    if file.is_file():
        experiment = load_experiment(file)
        cells |= {
            folder / "cells" / slug(condition.label) / slug(student.label) / f"seed-{seed}"
            for condition in experiment.conditions
            for student in experiment.students
            for seed in experiment.seeds
        }
    return sorted(cell for cell in cells if cell / METRICS not in found)
