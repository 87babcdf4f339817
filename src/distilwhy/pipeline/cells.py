"""The cells of an experiment: every condition by student by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distilwhy.config import Condition, Experiment, StudentSettings
from distilwhy.files import slug
from distilwhy.training.methods import resolve_method


@dataclass(frozen=True)
class Cell:
    """One condition, student and seed, and where its files lie.

    Args:
        condition: Method and data kind.
        student: The base model.
        seed: Training seed.
        folder: Folder of the trained student, its predictions and its figures.
    """

    condition: Condition
    student: StudentSettings
    seed: int
    folder: Path

    @property
    def trained(self) -> Path:
        """Folder of the trained student."""
        return self.folder / "student"

    @property
    def predictions(self) -> Path:
        """The predictions file."""
        return self.folder / "predictions.jsonl"

    @property
    def figures(self) -> Path:
        """The figures of its predictions; what measures found lies beside it."""
        return self.folder / "metrics.json"

    @property
    def swapped(self) -> Path:
        """The predictions file of the student asked with its tags swapped."""
        return self.folder / "predictions-swapped-tags.jsonl"


def cells_of(experiment: Experiment, folder: Path) -> list[Cell]:
    """Return all cells of an experiment, in the order in which they run.

    Args:
        experiment: The experiment.
        folder: Folder of all its outputs.
    """
    return [
        Cell(
            condition,
            student,
            seed,
            folder / "cells" / slug(condition.label) / slug(student.label) / f"seed-{seed}",
        )
        for student in experiment.students
        for condition in experiment.conditions
        for seed in experiment.seeds
    ]


def swaps_tags(experiment: Experiment, cell: Cell) -> bool:
    """Return whether a cell's student is also asked with its tags swapped: it needs two or more."""
    return experiment.swapped_tags and len(resolve_method(cell.condition).weights) > 1


def entry_name(cell: Cell, cells: Sequence[Cell]) -> str:
    """Return a cell's name in the report; student and seed only where there are several."""
    parts = [cell.condition.label]
    if len({other.student.label for other in cells}) > 1:
        parts.append(cell.student.label)
    if len({other.seed for other in cells}) > 1:
        parts.append(f"seed {cell.seed}")
    return ", ".join(parts)
