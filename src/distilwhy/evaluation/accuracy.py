"""Accuracy with its interval, unparsed answers, and results by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.evaluation.metrics import ClassMetrics
from distilwhy.records import LETTERS, Example, Prediction, Record

LEVEL = 0.95
RESAMPLES = 100_000
NAMES_SHOWN = 5


class Accuracy(Record):
    """Accuracy of one predictor.

    Args:
        n: Examples.
        accuracy: Share answered rightly; unparsed answers count as wrong.
        ci_low: Lower end of the 95 % interval.
        ci_high: Its upper end.
        unparsed: Answers that name no choice (a count).
    """

    n: int
    accuracy: float
    ci_low: float
    ci_high: float
    unparsed: int


def name_some(names: Iterable[str]) -> str:
    """Return the first five names, quoted, and how many more there are."""
    listed = list(names)
    shown = ", ".join(repr(name) for name in listed[:NAMES_SHOWN])
    more = len(listed) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def check_answers_known(examples: Sequence[Example]) -> None:
    """Refuse examples whose right answer is not known.

    Raises:
        DataError: Naming some of them.
    """
    unknown = [example.id for example in examples if example.answer is None]
    if unknown:
        noun = "example has" if len(unknown) == 1 else "examples have"
        raise DataError(
            f"{len(unknown)} {noun} no right answer: {name_some(unknown)}.",
            "Evaluate on a split whose answers are known.",
        )


def check_predictions(predictions: Sequence[Prediction], subject: str = "predictions") -> None:
    """Refuse predictions that cannot be scored.

    Args: as of :func:`check_answered`.

    Raises:
        DataError: As of :func:`check_answered`, and when a right answer is unknown.
    """
    check_answered(predictions, subject)
    check_answers_known([prediction.example for prediction in predictions])


def check_answered(predictions: Sequence[Prediction], subject: str = "predictions") -> None:
    """Refuse predictions that are not one predictor's.

    Args:
        predictions: The predictions of one predictor.
        subject: What they are called in messages, e.g. their file.

    Raises:
        DataError: When there are none, when two are of the same example, or when an answer is not
            among its choices.
    """
    if not predictions:
        raise DataError(f"{subject}: there is no prediction to score.", "Give at least one.")
    counts = Counter(prediction.example.id for prediction in predictions)
    faults = [
        Fault(subject, f"example {name!r} is answered {count} times")
        for name, count in counts.items()
        if count > 1
    ]
    faults += [
        Fault(
            subject,
            f"example {prediction.example.id!r} has the answer {prediction.answer!r}, "
            "which is none of its choices",
        )
        for prediction in predictions
        if prediction.answer is not None and prediction.answer not in prediction.example.choices
    ]
    raise_faults(DataError, subject, faults, "Keep one prediction an example, made by predict.")


def accuracy(predictions: Sequence[Prediction], seed: int = 0) -> Accuracy:
    """Score predictions by exact match of the parsed answer with the right choice.

    Args:
        predictions: The predictions of one predictor.
        seed: Seed of the bootstrap.

    Raises:
        DataError: When the predictions cannot be scored, see :func:`check_predictions`.
    """
    check_predictions(predictions)
    right = sum(prediction.correct for prediction in predictions)
    low, high = proportion_interval(right, len(predictions), seed)
    return Accuracy(
        n=len(predictions),
        accuracy=right / len(predictions),
        ci_low=low,
        ci_high=high,
        unparsed=sum(prediction.answer is None for prediction in predictions),
    )


def proportion_interval(right: int, n: int, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a share.

    Drawing n of n right/wrong scores with replacement gives a binomial number of right ones, so
    the 100,000 resamples are drawn as counts. When all or none are right every resample is equal
    and the bootstrap would claim certainty; the exact interval of Clopper and Pearson
    (Biometrika 1934) stands in for it.

    Args:
        right: Right answers, from 0 to ``n``.
        n: Answers, at least 1.
        seed: Seed of the draw.

    Returns:
        The lower and upper end, shares from 0 to 1.
    """
    if right == 0:
        return 0.0, largest_unseen_share(n)
    if right == n:
        return 1.0 - largest_unseen_share(n), 1.0
    import numpy as np

    shares = np.random.default_rng(seed).binomial(n, right / n, size=RESAMPLES) / n
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def largest_unseen_share(n: int) -> float:
    """Return the Clopper-Pearson upper 97.5 % limit of the share of what n examples never showed.

    Args:
        n: Examples, at least 1.
    """
    return 1.0 - float(((1.0 - LEVEL) / 2) ** (1 / n))


def fixed_labels(examples: Iterable[Example]) -> tuple[str, ...] | None:
    """Return the labels when all examples have the same set of choices, else ``None``.

    A single multiple-choice question does not tell; it counts as labels that vary.

    Args:
        examples: Examples of one task.
    """
    listed = list(examples)
    if not listed or len({frozenset(example.choices) for example in listed}) > 1:
        return None
    if len(listed) == 1 and listed[0].family == "multiple_choice":
        return None
    return tuple(dict.fromkeys(listed[0].choices))


def class_metrics(predictions: Sequence[Prediction]) -> dict[str, ClassMetrics]:
    """Return results by label, or by the right choice's letter where labels vary.

    Args:
        predictions: Predictions that passed :func:`check_predictions`.

    Returns:
        Results by class, in the order of the labels or letters; classes that no example has are
        there too, with ``n`` 0.
    """
    labels = fixed_labels(prediction.example for prediction in predictions)
    if labels is not None:
        return _by_class(predictions, labels, lambda _, choice: choice)
    longest = max(len(prediction.example.choices) for prediction in predictions)
    return _by_class(predictions, LETTERS[:longest], Example.letter)


def _by_class(
    predictions: Sequence[Prediction],
    names: Sequence[str],
    class_of: Callable[[Example, str], str],
) -> dict[str, ClassMetrics]:
    gold: Counter[str] = Counter()
    right: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    for prediction in predictions:
        example = prediction.example
        if example.answer is not None:
            gold[class_of(example, example.answer)] += 1
            right[class_of(example, example.answer)] += prediction.correct
        if prediction.answer is not None:
            predicted[class_of(example, prediction.answer)] += 1
    return {
        name: ClassMetrics(
            n=gold[name],
            accuracy=right[name] / gold[name] if gold[name] else None,
            predicted=predicted[name],
        )
        for name in names
    }
