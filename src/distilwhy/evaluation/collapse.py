"""Whether a predictor gives nearly the same answer to every question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distilwhy.evaluation.accuracy import fixed_labels
from distilwhy.records import Example, Prediction
from distilwhy.tasks.words import collapse

CONSTANT_SHARE = 0.95
CHANCE = 0.001


def constant_answers(predictions: Sequence[Prediction]) -> tuple[str, ...]:
    """Return what shows that a predictor's answers hang on no question; nothing for a sound one.

    That is so when at least 95 % of its answers are one label (one position or one text where the
    choices differ from question to question), it is no more often right than that answer alone
    would be, and so many of one kind would hardly be drawn (p < 0.001) from the right answers. The
    last two keep a good predictor of a task with few answers of a second kind out, and few
    questions. Or when at least 95 % of its answers, and 10, name no choice at all.

    Args:
        predictions: One predictor's predictions, right answers known.
    """
    from scipy.stats import binom

    n = len(predictions)
    unread = sum(prediction.answer is None for prediction in predictions)
    if n >= 10 and unread >= CONSTANT_SHARE * n:
        return (f"{unread} of {n} answers name no choice",)
    right = sum(prediction.correct for prediction in predictions)
    for kind in _kinds(predictions):
        given: Counter[str] = Counter()
        gold: Counter[str] = Counter()
        for prediction in predictions:
            if prediction.answer is not None:
                given[_class(kind, prediction.example, prediction.answer)] += 1
            if prediction.example.answer is not None:
                gold[_class(kind, prediction.example, prediction.example.answer)] += 1
        if not given:
            continue
        name, count = given.most_common(1)[0]
        share = max(gold[name], 1) / n
        by_chance = float(binom.sf(count - 1, n, share))
        if count >= CONSTANT_SHARE * n and right <= max(gold[name], 1) and by_chance < CHANCE:
            what = f"choice {name}" if kind == "position" else repr(name)
            return (f"{count} of {n} answers are {what}",)
    return ()


def _kinds(predictions: Sequence[Prediction]) -> tuple[str, ...]:
    fixed = fixed_labels(prediction.example for prediction in predictions)
    return ("label",) if fixed is not None else ("position", "text")


def _class(kind: str, example: Example, answer: str) -> str:
    if kind == "position":
        return example.letter(answer)
    return collapse(answer).casefold() if kind == "text" else answer
