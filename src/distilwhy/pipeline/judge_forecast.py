"""What a judge will be asked: of predictions that are there, or of an experiment's yet to come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distilwhy.config import Experiment, JudgeSettings, MeasureSettings
from distilwhy.draws import draw as draw_one
from distilwhy.errors import ConfigError, DataError
from distilwhy.files import read_records
from distilwhy.generators.open import open_count
from distilwhy.judging.forecast import forecast_preferences, forecast_ratings
from distilwhy.pipeline.cells import Cell, entry_name
from distilwhy.pipeline.experiment import experiment_run
from distilwhy.pipeline.judged_cells import first_seeds, judged_measures
from distilwhy.pipeline.judging import asks_judge, explained, on_drawn_questions, verdicts_path
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example, Prediction
from distilwhy.tasks.rows import draw
from distilwhy.teaching.forecast import Forecast, StepForecast
from distilwhy.training.methods import resolve_method

if TYPE_CHECKING:
    from distilwhy.pipeline.experiment import ExperimentRun

MEASURE = "judge"
NOWHERE = Path(os.devnull) / "verdicts.jsonl"


def forecast_measure(
    predictions: Sequence[Prediction], settings: MeasureSettings, verdicts: Path | None, seed: int
) -> Forecast:
    """Say what the measure ``judge`` would ask for, without asking or writing.

    Args:
        predictions: The predictions.
        settings: The measures and the judge.
        verdicts: The store of its verdicts, which need not be there; ``None`` where it has none.
        seed: Seed of all draws.

    Raises:
        UserError: When no measure asks the judge, or nothing is explained.
    """
    if settings.judge is None or MEASURE not in settings.measures:
        raise ConfigError(
            "A dry run tells what a judge would be asked, but the measure 'judge' is not wanted, "
            "or no judge is named.",
            "Name both: --measure judge --judge MODEL.",
        )
    rows = explained(draw(predictions, settings.limit, seed))
    if not rows:
        raise DataError("No prediction has an explanation that could be rated.", "Give others.")
    told = _ratings(rows, settings.judge, verdicts or NOWHERE, seed)
    return told.model_copy(update={"notes": (*told.notes, *_uncounted(settings))})


def forecast_pairs(
    predictors: Mapping[str, Sequence[Prediction]],
    settings: JudgeSettings,
    *,
    limit: int | None = None,
    seed: int = 0,
    verdicts: Path | None = None,
) -> Forecast:
    """Say what :func:`distilwhy.pipeline.judging.prefer_all` would ask for, without asking.

    Args: as of :func:`distilwhy.pipeline.judging.prefer_all`.
    """
    return forecast_preferences(
        on_drawn_questions(predictors, limit, seed),
        settings,
        seed=seed,
        store_path=verdicts or NOWHERE,
        count=open_count(settings.model),
    )


def forecast_judge(experiment: Path, out: Path | None = None) -> Forecast | None:
    """Say what an experiment will ask its judge, without asking or writing.

    Explanations that are not there yet are taken to be as the prompts' worked examples.

    Args:
        experiment: The experiment's YAML file.
        out: Folder of all outputs; ``runs/<file>`` when unset.

    Returns:
        The forecast, ratings and pairs together; ``None`` where no judge is asked.

    Raises:
        UserError: When the file, the task or a model cannot be used.
    """
    run = experiment_run(experiment, out)
    settings = run.experiment.explanations
    rates = MEASURE in judged_measures(run.experiment)
    if settings.judge is None or not (rates or settings.pairs):
        return None
    coming = _Coming(run)
    store, seed = verdicts_path(run.folder), run.experiment.seed
    parts: list[tuple[str, Forecast, int]] = []
    if rates:
        for rows, times in coming.groups():
            drawn = explained(draw(rows, settings.limit, seed))
            if drawn:
                parts.append(("", _ratings(drawn, settings.judge, store, seed), times))
    if settings.pairs:
        cells = {entry_name(cell, run.cells): cell for cell in first_seeds(coming.cells)}
        if len(cells) > 1:
            rows_of = {
                name: coming.predictions(cell, f" ({number})")
                for number, (name, cell) in enumerate(cells.items(), 1)
            }
            told = forecast_pairs(
                rows_of, settings.judge, limit=settings.limit, seed=seed, verdicts=store
            )
            parts.append(("pairs: ", told, 1))
    return _summed(parts, coming) if parts else None


@dataclass(frozen=True)
class _Coming:
    """The predictions of an experiment's cells, those that are there and those to come."""

    run: ExperimentRun

    @property
    def cells(self) -> list[Cell]:
        """The cells whose students explain."""
        return [cell for cell in self.run.cells if _explains(cell, self.run.experiment)]

    @property
    def missing(self) -> list[Cell]:
        """Of these, those that were not asked yet."""
        return [cell for cell in self.cells if not cell.predictions.is_file()]

    def groups(self) -> Iterator[tuple[list[Prediction], int]]:
        """Yield predictions and how many cells have as many; those to come stand together."""
        for cell in self.cells:
            if cell.predictions.is_file():
                yield read_records(cell.predictions, Prediction), 1
        if self.missing:
            yield [self._stand_in(example) for example in self.run.test], len(self.missing)

    def predictions(self, cell: Cell, mark: str) -> list[Prediction]:
        """Return a cell's predictions, or others of about their length that end with a mark."""
        if cell.predictions.is_file():
            return read_records(cell.predictions, Prediction)
        return [self._stand_in(example, mark) for example in self.run.test]

    def _stand_in(self, example: Example, mark: str = "") -> Prediction:
        asked = self.run.experiment.teacher is not None
        prompts = self.run.teacher_settings.prompts if asked else None
        worked = load_prompts(example.family, prompts).worked_examples
        text = draw_one(worked, example.id, "judge").rationale
        return Prediction(example=example, answer=example.answer, rationale=f"{text}{mark}")


def _ratings(
    rows: Sequence[Prediction], settings: JudgeSettings, store: Path, seed: int
) -> Forecast:
    count = open_count(settings.model)
    return forecast_ratings(rows, settings, seed=seed, store_path=store, count=count)


def _explains(cell: Cell, experiment: Experiment) -> bool:
    """Return whether a cell's student will give explanations."""
    method = resolve_method(cell.condition)
    if method.answer_view == "factual":
        return True
    return method.rationale_view is not None and experiment.prediction.rationales


def _uncounted(settings: MeasureSettings) -> list[str]:
    """Say which measures ask the judge too, if any."""
    others = [n for n in settings.measures if asks_judge(n, settings) and n != MEASURE]
    return [f"Not counted: what the judge is asked by {', '.join(others)}."] if others else []


def _summed(parts: Sequence[tuple[str, Forecast, int]], coming: _Coming) -> Forecast:
    """Return forecasts as one, each so many times, its steps behind a word of their own."""
    steps: dict[str, StepForecast] = {}
    for before, told, times in parts:
        for name, step in told.steps.items():
            steps[before + name] = _plus(steps.get(before + name), step, times)
    first, missing = parts[0][1], len(coming.missing)
    notes = list(dict.fromkeys(note for _, told, _ in parts for note in told.notes))
    notes += _uncounted(coming.run.experiment.explanations)
    if missing:
        notes.append(
            f"{missing} of {len(coming.cells)} students that explain were not asked yet: for each "
            f"of their {len(coming.run.test):,} test questions a worked example's explanation "
            "stands in, so this is an estimate."
        )
    return first.model_copy(
        update={
            "steps": steps,
            "examples": sum(told.examples * times for _, told, times in parts),
            "sampled": sum(told.sampled * times for _, told, times in parts),
            "notes": tuple(notes),
        }
    )


def _plus(total: StepForecast | None, step: StepForecast, times: int) -> StepForecast:
    """Return a step's sum so far and another part of it, so many times."""
    more = step.model_dump()
    before = total.model_dump() if total else dict.fromkeys(more, 0)
    sums = {
        name: None if None in (before[name], value) else before[name] + value * times
        for name, value in more.items()
    }
    return StepForecast.model_validate(sums)
