"""Robustness: choices in another order."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.explainability.measures import MeasureResult, measure
from distilwhy.explainability.robustness import overlap, reordered
from distilwhy.explainability.subject import Subject
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction


class ByPlace:
    """Answers with the first choice, whatever it is."""

    name = "by place"
    answers_after_rationale = False

    def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
        return [
            Prediction(
                example=example, answer=example.choices[0], rationale=f"I like {example.choices[0]}"
            )
            for example in examples
        ]

    def choice_likelihoods(self, *_: Any) -> Any:
        raise AssertionError("not needed")


def judged(student: Any, examples: list[Example]) -> MeasureResult:
    return measure("robustness", Subject(student.predict(examples), student=student))


@pytest.mark.parametrize("size", [2, 3, 5, 26])
def test_no_choice_stays_where_it_was(size: int) -> None:
    choices = tuple(f"c{place}" for place in range(size))
    orders = set()
    for seed in range(60):
        example = Example(id="q", question="?", choices=choices, answer="c1", context="x")
        found = reordered(example, seed)
        assert all(old != new for old, new in zip(choices, found.choices, strict=True))
        assert found.model_copy(update={"choices": choices}) == example
        assert sorted(found.choices) == sorted(choices)
        orders.add(found.choices)
    assert len(orders) == (1 if size == 2 else 2) if size < 4 else len(orders) > 10


def test_a_choice_may_stand_twice() -> None:
    example = Example(id="q", question="?", choices=("a", "a", "b"))
    assert sorted(reordered(example, 0).choices) == ["a", "a", "b"]


def test_a_student_that_does_not_look_at_places(ignoring: Any, examples: list[Example]) -> None:
    result = judged(ignoring, examples)
    for name in ("answer_stays", "reason_stays", "reason_overlap", "reason_overlap_same_answer"):
        assert result.figures[name].value == 1.0
        assert result.figures[name].n == 100
    assert result.figures["letter_stays"].value == 0.0
    assert result.figures["reason_overlap_other_answer"].reason == "every answer stays"
    assert not any(item.flags for item in result.items)


def test_one_that_looks_at_nothing_else(examples: list[Example]) -> None:
    result = judged(ByPlace(), examples)
    assert result.figures["answer_stays"].value == 0.0
    assert result.figures["letter_stays"].value == 1.0
    assert result.figures["reason_overlap"].value == pytest.approx(2 / 3)
    assert result.figures["reason_stays"].value == 0.0
    assert all(item.flags == ("inconsistent",) for item in result.items)


def test_overlap() -> None:
    assert overlap("The cat sat.", "the cat sat") == 1.0
    assert overlap("a a b", "a c") == pytest.approx(2 / 5)
    assert overlap("cat", "dog") == overlap("cat", "") == 0.0
    assert overlap("", "") == 1.0


def test_degenerate_input_gives_a_sentence(copying: Any, examples: list[Example]) -> None:
    figures = measure("robustness", Subject([], student=copying)).figures
    assert all(figure.value is None and figure.reason for figure in figures.values())


def test_a_real_student(taught: TrainedStudent, tiny_annotations: list[Annotation]) -> None:
    examples = [annotation.example for annotation in tiny_annotations]
    predictions = taught.predict(examples)
    result = measure("robustness", Subject(predictions, student=taught, seed=4))
    known = [p for p in predictions if p.answer is not None]
    after = taught.predict([reordered(p.example, 4) for p in known])
    stays = [new.answer == old.answer for new, old in zip(after, known, strict=True)]
    assert result.figures["answer_stays"].value == pytest.approx(sum(stays) / len(stays))
    assert result.figures["answer_stays"].n == len(stays) > 10
