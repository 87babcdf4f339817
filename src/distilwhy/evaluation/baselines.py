"""Predictors that look at no question: what any student must beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distilwhy.draws import draw
from distilwhy.errors import DataError
from distilwhy.evaluation.accuracy import LEVEL, check_answers_known, fixed_labels
from distilwhy.records import Example, Prediction, Record


class Chance(Record):
    """What guessing gives on a set of examples.

    Args:
        n: Examples.
        accuracy: Expected accuracy, the mean of 1 / (number of distinct choices).
        ci_low: Lower end of the range that holds a guesser's accuracy 95 % of the time.
        ci_high: Its upper end.
    """

    n: int
    accuracy: float
    ci_low: float
    ci_high: float


def majority_baseline(training: Sequence[Example], examples: Sequence[Example]) -> list[Prediction]:
    """Answer every example with what was most often right in training.

    With fixed labels that is the most frequent label; where the choices vary from question to
    question it is the most frequent *position* of the right choice, among the positions that the
    question has. Equals go to the earlier label or position.

    Args:
        training: Training examples with known answers.
        examples: The examples to answer.

    Raises:
        DataError: When there is no training example or one has no right answer.
    """
    if not training:
        raise DataError("The majority baseline has no training example.", "Give at least one.")
    check_answers_known(training)
    labels = fixed_labels([*training, *examples])
    if labels is not None:
        counts = Counter(example.answer for example in training)
        label = max(labels, key=lambda name: counts[name])
        return [_answered(example, label) for example in examples]
    places = Counter(
        example.choices.index(example.answer) for example in training if example.answer is not None
    )
    return [
        _answered(
            example,
            example.choices[max(range(len(example.choices)), key=lambda place: places[place])],
        )
        for example in examples
    ]


def random_baseline(examples: Sequence[Example], seed: int = 0) -> list[Prediction]:
    """Answer every example with one of its distinct choices, each as likely as the others.

    The draw hangs on the seed and the example's id alone, so it is the same in any subset.

    Args:
        examples: The examples to answer.
        seed: Seed of the draw.
    """
    return [
        _answered(example, draw(_distinct(example), seed, example.id, "random baseline"))
        for example in examples
    ]


def chance(examples: Sequence[Example]) -> Chance:
    """Return what a guesser among the distinct choices gets, exactly.

    The number of right guesses is a sum of binomial numbers, one for each number of choices that
    occurs; its distribution is computed by convolution, so no seed is involved. One draw of
    :func:`random_baseline` lies within the range 95 % of the time.

    Args:
        examples: The examples to be guessed.

    Raises:
        DataError: When there is none.
    """
    if not examples:
        raise DataError("There is no example to guess.", "Give at least one.")
    import numpy as np
    from scipy.stats import binom

    sizes = Counter(len(_distinct(example)) for example in examples)
    masses = np.ones(1)
    for size, count in sorted(sizes.items()):
        masses = np.convolve(masses, binom.pmf(np.arange(count + 1), count, 1 / size))
    cumulated = np.cumsum(masses)
    low, high = np.searchsorted(cumulated, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    n = len(examples)
    return Chance(
        n=n,
        accuracy=sum(count / size for size, count in sizes.items()) / n,
        ci_low=int(low) / n,
        ci_high=int(high) / n,
    )


def _distinct(example: Example) -> tuple[str, ...]:
    return tuple(dict.fromkeys(example.choices))


def _answered(example: Example, answer: str) -> Prediction:
    return Prediction(example=example, answer=answer, answer_text=answer)
