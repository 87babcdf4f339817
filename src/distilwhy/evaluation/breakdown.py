"""Accuracy by kind of question, and whether answers lean to a position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from distilwhy.evaluation.accuracy import fixed_labels, proportion_interval
from distilwhy.evaluation.metrics import Group, PositionBias
from distilwhy.records import LETTERS, Example, Prediction
from distilwhy.tasks.words import words

QUESTION_WORDS = ("what", "which", "where", "when", "why", "how", "who", "whom", "whose")
THIRDS = ("short", "middle", "long")
DRAWS = 10_000


def breakdowns(predictions: Sequence[Prediction], seed: int = 0) -> dict[str, dict[str, Group]]:
    """Return accuracy by question word, by length and, where labels vary, by position.

    Args:
        predictions: Scored predictions, at least one.
        seed: Seed of the bootstrap.

    Returns:
        Groups that have an example, by kind of breakdown. ``question word``: the first of what,
        which, where, when, why, how, who, whom and whose in the question, else ``other``;
        ``length``: thirds by words of the question and its context, equal lengths together;
        ``answer position``: the right choice's letter.
    """
    examples = [prediction.example for prediction in predictions]
    kinds: dict[str, Callable[[Example], str]] = {}
    # A table of another program may not hold the questions; then all have the same.
    if len(examples) == 1 or len({(x.question, x.context) for x in examples}) > 1:
        kinds = {"question word": question_word, "length": _thirds(examples)}
    if fixed_labels(examples) is None:
        kinds["answer position"] = lambda example: example.letter(example.answer or "")
    found = {}
    for kind, name_of in kinds.items():
        groups: dict[str, list[bool]] = {}
        for prediction in predictions:
            groups.setdefault(name_of(prediction.example), []).append(prediction.correct)
        order = [*QUESTION_WORDS, "other"] if kind == "question word" else list(THIRDS)
        names = sorted(groups, key=lambda name: (order.index(name) if name in order else 0, name))
        found[kind] = {name: group(groups[name], seed) for name in names}
    return found


def question_word(example: Example) -> str:
    """Return the word that asks, or ``other``; English only."""
    return next((word for word in words(example.question) if word in QUESTION_WORDS), "other")


def position_bias(predictions: Sequence[Prediction], seed: int = 0) -> PositionBias | None:
    """Return whether wrong answers lean to a position.

    Right answers say nothing of it, since they stand where the right choice stands. The statistic
    is that of the chi-squared test; its distribution is drawn, as questions differ in which
    positions are wrong.

    Args:
        predictions: Scored predictions.
        seed: Seed of the draws.

    Returns:
        The figures; ``None`` where all questions have the same labels, where a position is a label,
        or where no wrong answer names a choice.
    """
    import numpy as np

    wrong = [p for p in predictions if p.answer is not None and not p.correct]
    if not wrong or fixed_labels(p.example for p in predictions) is not None:
        return None
    letters = LETTERS[: max(len(p.example.choices) for p in wrong)]
    open_to = np.zeros((len(wrong), len(letters)))
    for row, prediction in enumerate(wrong):
        example = prediction.example
        for choice in example.wrong_choices:
            open_to[row, letters.index(example.letter(choice))] = 1
    chances = open_to / open_to.sum(1, keepdims=True)
    expected = chances.sum(0)
    possible = expected > 0
    generator = np.random.default_rng(seed)
    drawn = np.zeros((DRAWS, len(letters)))
    # Questions with the same wrong positions are drawn together.
    for row, count in zip(*np.unique(chances, axis=0, return_counts=True), strict=True):
        drawn += generator.multinomial(count, row, size=DRAWS)
    counts = Counter(p.example.letter(p.answer) for p in wrong if p.answer is not None)
    answered = np.array([counts[letter] for letter in letters], dtype=float)

    def statistic(observed: np.ndarray) -> np.ndarray:
        return np.asarray(((observed - expected)[..., possible] ** 2 / expected[possible]).sum(-1))

    as_large = int((statistic(drawn) >= statistic(answered) - 1e-9).sum())
    return PositionBias(
        n=len(wrong),
        answered={letter: counts[letter] for letter in letters},
        expected=dict(zip(letters, map(float, expected), strict=True)),
        p=(as_large + 1) / (DRAWS + 1),
    )


def _thirds(examples: Sequence[Example]) -> Callable[[Example], str]:
    """Return what names an example's third by length."""
    import numpy as np

    low, high = map(float, np.quantile([_length(e) for e in examples], [1 / 3, 2 / 3]))

    def name(example: Example) -> str:
        length = _length(example)
        return THIRDS[int(length > low) + int(length > high)]

    return name


def _length(example: Example) -> int:
    return len(f"{example.context or ''} {example.question}".split())


def group(right: Sequence[bool], seed: int) -> Group:
    """Return the accuracy on a group of questions.

    Args:
        right: Whether each was answered rightly, at least one.
        seed: Seed of the bootstrap.
    """
    low, high = proportion_interval(sum(right), len(right), seed)
    return Group(n=len(right), accuracy=sum(right) / len(right), ci_low=low, ci_high=high)
