"""Counterfactual edits: flips and mentions stand apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from distilwhy.draws import draw
from distilwhy.explainability.edits import EDITS
from distilwhy.explainability.figures import ratio_of
from distilwhy.explainability.measures import ItemScores, MeasureResult, measure
from distilwhy.explainability.subject import Subject
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction
from distilwhy.tasks.answers import mentions


class Swayed:
    """Its answer hangs on each word of the question; it may quote the question, or not."""

    name = "swayed"
    answers_after_rationale = False

    def __init__(self, quotes: bool) -> None:
        self.quotes = quotes

    def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
        return [
            Prediction(
                example=example,
                answer=draw(sorted(example.choices), example.question),
                rationale=f"It says: {example.question}" if self.quotes else "It is so.",
            )
            for example in examples
        ]

    def choice_likelihoods(self, *_: Any) -> Any:
        raise AssertionError("not needed")


def judged(student: Any, examples: list[Example]) -> MeasureResult:
    return measure("edits", Subject(student.predict(examples), student=student))


def test_a_ratio_has_the_interval_of_drawn_items() -> None:
    rng = np.random.default_rng(2)
    below = rng.integers(0, 5, 150)
    above = rng.binomial(below, 0.3)
    items = [
        ItemScores(example_id=str(k), scores={"up": int(a), "down": int(b)})
        for k, (a, b) in enumerate(zip(above, below, strict=True))
    ]
    figure = ratio_of(items, "up", "down", 0)
    assert figure.value == pytest.approx(above.sum() / below.sum(), abs=1e-12)
    assert figure.n == below.sum()
    kept = below > 0
    wanted = bootstrap(
        (above[kept], below[kept]),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(9),
    ).confidence_interval
    assert figure.ci_low == pytest.approx(wanted.low, abs=0.005)
    assert figure.ci_high == pytest.approx(wanted.high, abs=0.005)


@pytest.mark.parametrize(("share", "ends"), [(0, (0.0, 0.3085)), (1, (0.6915, 1.0))])
def test_a_ratio_of_none_or_all_is_not_certain(share: int, ends: tuple[float, float]) -> None:
    items = [ItemScores(example_id=str(k), scores={"up": 2 * share, "down": 2}) for k in range(10)]
    figure = ratio_of(items, "up", "down", 0)
    assert figure.value == share
    assert (figure.ci_low, figure.ci_high) == pytest.approx(ends, abs=1e-4)


def test_flips_that_are_named_and_flips_that_are_not(examples: list[Example]) -> None:
    quoting, silent = judged(Swayed(True), examples), judged(Swayed(False), examples)
    for result in (quoting, silent):
        assert result.figures["flip_rate"].value == pytest.approx(0.75, abs=0.1)
        assert result.figures["flip_rate"].n == EDITS * 100
        assert (result.figures["flipped_items"].value or 0) > 0.95
    assert quoting.figures["unfaithful"].value == 0.0
    assert quoting.figures["mention_rate"].value == 1.0
    assert quoting.figures["mention_rate_unflipped"].value == 1.0
    assert silent.figures["unfaithful"].value == 1.0
    assert silent.figures["mention_rate"].value == 0.0
    flips = sum(int(item.scores["flips"] or 0) for item in silent.items)
    assert silent.figures["unfaithful"].n == flips
    flagged = [item for item in silent.items if item.flags == ("unfaithful",)]
    assert len(flagged) == sum(bool(item.scores["flips"]) for item in silent.items)
    assert not any(item.flags for item in quoting.items)


def test_no_flip_is_no_sign_of_faithfulness(ignoring: Any, examples: list[Example]) -> None:
    figures = judged(ignoring, examples).figures
    assert figures["flip_rate"].value == figures["flipped_items"].value == 0.0
    assert figures["unfaithful"].value is None
    assert "no sign of faithfulness" in (figures["unfaithful"].reason or "")


def test_what_is_asked_differs_by_one_word(examples: list[Example]) -> None:
    asked: list[Example] = []

    class Noting(Swayed):
        def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
            asked.extend(examples)
            return super().predict(examples, tags)

    measure("edits", Subject(Swayed(False).predict(examples[:3]), student=Noting(False)))
    assert len(asked) == 3 * (1 + EDITS)
    before, *after = asked[: 1 + EDITS]
    new = [set(example.question.split()) - set(before.question.split()) for example in after]
    assert all(len(words) == 1 for words in new)
    assert len(set.union(*new)) == EDITS
    for example in after:
        assert example.model_copy(update={"question": before.question}) == before


def test_degenerate_input_gives_a_sentence(copying: Any, examples: list[Example]) -> None:
    figures = measure("edits", Subject([], student=copying)).figures
    assert all(figure.value is None and figure.reason for figure in figures.values())
    result = measure("edits", Subject(copying.predict(examples[:1]), student=copying))
    assert result.figures["flip_rate"].n == EDITS


def test_a_real_student(taught: TrainedStudent, tiny_annotations: list[Annotation]) -> None:
    examples = [annotation.example for annotation in tiny_annotations]
    predictions = taught.predict(examples)
    asked: list[list[Prediction]] = []

    class Noting:
        predict = staticmethod(lambda given: asked.append(taught.predict(given)) or asked[-1])

    result = measure("edits", Subject(predictions, student=Noting()))  # type: ignore[arg-type]
    answers = {p.example.id: p.answer for p in predictions}
    flips = unmentioned = 0
    for after in (p for p in asked[0] if p.example not in examples):
        before = next(e for e in examples if e.id == after.example.id)
        (word,) = set(after.example.question.split()) - set(before.question.split())
        flip = after.answer not in (None, answers[before.id]) and answers[before.id] is not None
        flips += flip
        unmentioned += flip and not mentions(after.rationale or "", word)
    assert sum(int(item.scores["flips"] or 0) for item in result.items) == flips > 0
    assert result.figures["unfaithful"].value == pytest.approx(unmentioned / flips)
