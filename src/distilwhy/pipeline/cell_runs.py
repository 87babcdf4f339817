"""One cell of an experiment: a student is trained, asked and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilwhy.config import Experiment
from distilwhy.errors import StageError, UserError
from distilwhy.pipeline import stages
from distilwhy.pipeline.cells import Cell, swaps_tags
from distilwhy.pipeline.checks import with_teacher
from distilwhy.pipeline.inputs import given_path
from distilwhy.pipeline.judging import asks_judge
from distilwhy.pipeline.measuring import measure_all, measures_folder
from distilwhy.progress import say


@dataclass(frozen=True)
class CellRun:
    """All that a cell needs; it can be sent to another process.

    Args:
        name: The cell's name in the report.
        cell: The cell.
        experiment: The experiment.
        annotations: The training examples.
        base: Folder that relative paths in the experiment file start from.
        soft_labels: Folder of stored soft labels, which cells share.
    """

    name: str
    cell: Cell
    experiment: Experiment
    annotations: Path
    base: Path | None
    soft_labels: Path

    def run(self) -> tuple[str, ...]:
        """Do what is not done yet; return what shows that the student collapsed, if it did.

        Raises:
            UserError: When the model, the data or a setting cannot be used.
            StageError: When training went wrong.
        """
        experiment, cell = self.experiment, self.cell
        stages.train(
            self.annotations,
            cell.trained,
            student=cell.student,
            condition=with_teacher(cell.condition, experiment),
            soft_labels=self.soft_labels,
            settings=experiment.training.model_copy(update={"seed": cell.seed}),
        )
        asked = {cell.predictions: experiment.prediction}
        if swaps_tags(experiment, cell):
            asked[cell.swapped] = experiment.prediction.model_copy(update={"tags": "swapped"})
        for predictions, settings in asked.items():
            stages.predict(
                cell.trained,
                experiment.task,
                predictions,
                limit=experiment.limits.test,
                seed=experiment.seed,
                settings=settings,
                base=self.base,
            )
        collapsed = stages.evaluate(cell.predictions, cell.figures, seed=experiment.seed).collapsed
        self._measure()
        return collapsed

    def _measure(self) -> None:
        """Judge the student's explanations by the measures that need no judge."""
        settings = self.experiment.explanations
        own = [name for name in settings.measures if not asks_judge(name, settings)]
        measure_cell(self.cell, self.experiment, self.base, own)

    def tell(self, collapsed: tuple[str, ...]) -> None:
        """Say so when the student collapsed."""
        if collapsed:
            say(f"{self.name} collapsed: {'; '.join(collapsed)}.")


def measure_cell(
    cell: Cell, experiment: Experiment, base: Path | None, measures: Sequence[str], **judge: Any
) -> None:
    """Judge the explanations of a cell's student.

    Args:
        cell: The cell, whose predictions are there.
        experiment: The experiment.
        base: Folder that relative paths in the experiment file start from.
        measures: By which of the experiment's measures.
        judge: The judge's model and store, as :func:`measure_all` takes them.
    """
    settings = experiment.explanations
    if not measures:
        return
    measure_all(
        cell.predictions,
        measures_folder(cell.figures),
        settings.model_copy(update={"measures": tuple(measures)}),
        student=cell.trained,
        prediction=experiment.prediction,
        references=settings.references and given_path(settings.references, base),
        ratings=settings.ratings and given_path(settings.ratings, base),
        seed=experiment.seed,
        **judge,
    )


def run_in_turn(runs: Sequence[CellRun]) -> None:
    """Run cells one after the other in this process.

    Args:
        runs: The cells; those that are done end at once.

    Raises:
        UserError: What a cell's stages raise, at once: other cells would meet it too.
        StageError: When training went wrong in some cells, after all others have been run.
    """
    failures: dict[str, Exception] = {}
    for number, run in enumerate(runs, 1):
        say(f"Cell {number} of {len(runs)}: {run.name}.")
        try:
            run.tell(run.run())
        except StageError as error:
            say(f"Cell {number} of {len(runs)} failed: {run.name}: {error}")
            failures[run.name] = error
    if failures:
        raise of_cells(failures, len(runs))


def of_cells(failures: Mapping[str, Exception], cells: int) -> Exception:
    """Return the first cell's error, which names the cell and says how many others failed.

    Args:
        failures: What each cell that failed raised, by name; at least one.
        cells: How many cells there were.
    """
    name, error = next(iter(failures.items()))
    others = f" ({len(failures)} of {cells} cells failed.)" if len(failures) > 1 else ""
    if isinstance(error, UserError):
        return type(error)(f"Cell {name}: {error.message}{others}", error.remedy)
    found = StageError(f"Cell {name}: {error}{others}")
    found.__cause__ = error.__cause__
    return found
