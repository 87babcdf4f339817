"""What a judge will be asked, and what that costs, before it is asked: a teacher's forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilwhy.config import JudgeSettings
from distilwhy.generators.base import Count
from distilwhy.judging.preference import common, prefer_through
from distilwhy.judging.rating import rate_through
from distilwhy.judging.settings import as_teacher
from distilwhy.records import Example, Prediction
from distilwhy.teaching.asking import TextSource
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.forecast import SAMPLE, Ask, Forecast, Measure, forecast
from distilwhy.teaching.teacher import Teacher


def forecast_ratings(
    predictions: Sequence[Prediction],
    settings: JudgeSettings,
    *,
    seed: int,
    store_path: Path,
    count: Count | None = None,
    measure: Measure | None = None,
    sample: int = SAMPLE,
) -> Forecast:
    """Say what :func:`distilwhy.judging.rating.rate` will ask for, without asking or writing.

    Args:
        predictions: The predictions to be rated.
        settings: The judge and its prices.
        seed: Seed of all draws.
        store_path: The store of its texts, which need not be there.
        count: Counts the tokens of a prompt; estimated from bytes when unset.
        measure: Times some texts, where the store tells no time.
        sample: Make the prompts of so many examples at most, drawn by seed.
    """

    def ask(source: TextSource, sampled: Sequence[Example]) -> TeachingCost:
        chosen = {example.id for example in sampled}
        asked = [prediction for prediction in predictions if prediction.example.id in chosen]
        return rate_through(Teacher(source), asked, settings, seed).cost

    examples = [prediction.example for prediction in predictions]
    return _forecast(examples, settings, ask, seed, store_path, count, measure, sample)


def forecast_preferences(
    predictors: Mapping[str, Sequence[Prediction]],
    settings: JudgeSettings,
    *,
    seed: int,
    store_path: Path,
    count: Count | None = None,
    measure: Measure | None = None,
    sample: int = SAMPLE,
) -> Forecast:
    """Say what :func:`distilwhy.judging.preference.prefer` will ask for, without asking or writing.

    Args:
        predictors: Predictions by predictor.

    Others as of :func:`forecast_ratings`.
    """
    examples: dict[str, Example] = {}
    for questions in common(predictors).values():
        for name, (prediction, _) in questions.items():
            examples.setdefault(name, prediction.example)

    def ask(source: TextSource, sampled: Sequence[Example]) -> TeachingCost:
        chosen = {example.id for example in sampled}
        asked = {
            name: [p for p in predictions if p.example.id in chosen]
            for name, predictions in predictors.items()
        }
        teacher = Teacher(source)
        return prefer_through(teacher, asked, settings, seed, settings.model).cost

    rows = list(examples.values())
    return _forecast(rows, settings, ask, seed, store_path, count, measure, sample)


def _forecast(
    examples: Sequence[Example], settings: JudgeSettings, ask: Ask, seed: int, *more: Any
) -> Forecast:
    store_path, count, measure, sample = more
    return forecast(
        examples,
        as_teacher(settings),
        seed=seed,
        store_path=store_path,
        count=count,
        measure=measure,
        sample=sample,
        ask=ask,
        who="judge",
        stand_ins="the most that a verdict may have",
    )
