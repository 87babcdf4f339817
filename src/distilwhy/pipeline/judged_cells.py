"""The judge of an experiment: asked after all cells, by one process and through one store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distilwhy.config import Experiment
from distilwhy.files import read_records
from distilwhy.generators.open import lazy_generator
from distilwhy.pipeline.cell_runs import measure_cell
from distilwhy.pipeline.cells import Cell, entry_name
from distilwhy.pipeline.judging import asks_judge, explained, prefer_all, verdicts_path
from distilwhy.progress import say
from distilwhy.records import Prediction

if TYPE_CHECKING:
    from distilwhy.pipeline.experiment import ExperimentRun


def judge_cells(run: ExperimentRun) -> None:
    """Have the judge rate the explanations of all cells and, where wanted, compare conditions.

    Args:
        run: The run, whose cells are done.

    Raises:
        UserError: When the judge cannot be used.
        StoppedError: When its budget is reached, or at a SIGINT or SIGTERM.
    """
    experiment = run.experiment
    settings, measures = experiment.explanations, judged_measures(experiment)
    if settings.judge is None or not (measures or settings.pairs):
        return
    judge = {
        "judge": lazy_generator(settings.judge.model, settings.judge),
        "verdicts": verdicts_path(run.folder),
    }
    for number, cell in enumerate(run.cells if measures else (), 1):
        say(f"Judge cell {number} of {len(run.cells)}: {entry_name(cell, run.cells)}.")
        measure_cell(cell, experiment, run.base, measures, **judge)
    if settings.pairs:
        _prefer(run, **judge)


def judged_measures(experiment: Experiment) -> list[str]:
    """Return the measures of an experiment that ask its judge."""
    settings = experiment.explanations
    return [name for name in settings.measures if asks_judge(name, settings)]


def first_seeds(cells: Sequence[Cell]) -> list[Cell]:
    """Return the first cell of each student and condition."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        found.setdefault((cell.student.label, cell.condition.label), cell)
    return list(found.values())


def _prefer(run: ExperimentRun, **judge: Any) -> None:
    """Have the judge compare the first seeds of all conditions that explain."""
    settings = run.experiment.explanations
    assert settings.judge is not None
    cells = {entry_name(cell, run.cells): cell for cell in first_seeds(run.cells)}
    given = {name: read_records(cell.predictions, Prediction) for name, cell in cells.items()}
    predictors = {name: rows for name, rows in given.items() if explained(rows)}
    if len(predictors) < 2:
        run.preferences.unlink(missing_ok=True)
        say("Fewer than two conditions explain, so the judge has none to compare.")
        return
    say(f"Compare {len(predictors)} conditions in pairs.")
    prefer_all(
        predictors,
        run.preferences,
        settings.judge,
        bases={name: cell.student.model for name, cell in cells.items() if name in predictors},
        limit=settings.limit,
        seed=run.experiment.seed,
        verdicts=judge["verdicts"],
        model=judge["judge"],
    )
