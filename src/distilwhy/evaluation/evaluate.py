"""The evaluate stage: predictions to metrics, one scorer for students, teachers and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distilwhy.evaluation.accuracy import accuracy, check_predictions, class_metrics
from distilwhy.evaluation.breakdown import breakdowns, position_bias
from distilwhy.evaluation.collapse import constant_answers
from distilwhy.evaluation.explanations import explanation_metrics
from distilwhy.evaluation.metrics import Metrics
from distilwhy.files import read_records
from distilwhy.records import Prediction, PredictionSummary, TrainingSummary


def evaluate(
    predictions: Sequence[Prediction],
    *,
    prediction: PredictionSummary | None = None,
    training: TrainingSummary | None = None,
    seed: int = 0,
    choices_known: bool = True,
) -> Metrics:
    """Summarise one predictor's predictions.

    Args:
        predictions: One prediction an example, right answers known.
        prediction: What prediction cost, passed on.
        training: What training cost, passed on.
        seed: Seed of the bootstrap.
        choices_known: ``False`` leaves out the figures that need the choices, for predictions
            from elsewhere whose choices were not given.

    Raises:
        DataError: When there is no prediction, when two are of the same example, when an answer
            is not among its choices, or when a right answer is unknown.
    """
    scored = accuracy(predictions, seed)
    return Metrics(
        **scored.model_dump(),
        classes=class_metrics(predictions) if choices_known else {},
        breakdowns=breakdowns(predictions, seed) if choices_known else {},
        position_bias=position_bias(predictions, seed) if choices_known else None,
        explanations=explanation_metrics(predictions, choices_known),
        prediction=prediction,
        training=training,
        collapsed=(*constant_answers(predictions), *(training.collapsed if training else ())),
    )


def evaluate_file(path: Path, *, seed: int = 0) -> Metrics:
    """Summarise a predictions file.

    Args:
        path: JSON Lines of predictions, as ``distilwhy predict`` writes them.
        seed: Seed of the bootstrap.

    Raises:
        DataError: When the file cannot be read or scored; the message names it.
    """
    predictions = read_records(path, Prediction)
    check_predictions(predictions, str(path))
    return evaluate(predictions, seed=seed)
