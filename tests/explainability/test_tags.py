"""Tag control: students that read a tag, and students that do not."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.errors import ModelError
from distilwhy.explainability.measures import MeasureResult, measure
from distilwhy.explainability.subject import Subject
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction

OTHERS = ("dropped", "swapped", "random")


class Tagged:
    """Answers rightly by its own tags; by others what a table says."""

    name = "tagged"
    answers_after_rationale = False

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
        if self.answers.get(tags) == "refuse":
            raise ModelError("The student learnt the tag [predict] only.", "Ask by that.")
        of = self.answers.get(tags, lambda example: example.answer)
        return [Prediction(example=example, answer=of(example)) for example in examples]

    def choice_likelihoods(self, *_: Any) -> Any:
        raise AssertionError("not needed")


def judged(student: Any, examples: list[Example]) -> MeasureResult:
    predictions = [Prediction(example=example) for example in examples]
    return measure("tags", Subject(predictions, student=student))


def test_a_student_that_reads_no_tag_is_not_moved(ignoring: Any, examples: list[Example]) -> None:
    result = judged(ignoring, examples)
    right = sum(p.correct for p in ignoring.predict(examples)) / 100
    for tags in OTHERS:
        assert result.figures[f"changed_{tags}"].value == 0.0
        assert result.figures[f"accuracy_{tags}"].value == right
        assert result.figures[f"accuracy_lost_{tags}"].value == 0.0
        assert result.figures[f"unreadable_{tags}"].value == 0.0


def test_each_way_has_its_own_figures(examples: list[Example]) -> None:
    student = Tagged(
        dropped=lambda example: None,
        random=lambda example: example.wrong_choices[0],
        swapped=lambda example: example.answer if int(example.id[1:]) % 4 else None,
    )
    figures = judged(student, examples).figures
    found = {name: figure.value for name, figure in figures.items()}
    assert found == {
        "accuracy_learnt": 1.0,
        "accuracy_dropped": 0.0,
        "accuracy_lost_dropped": 1.0,
        "changed_dropped": 1.0,
        "unreadable_dropped": 1.0,
        "accuracy_swapped": 0.75,
        "accuracy_lost_swapped": 0.25,
        "changed_swapped": 0.25,
        "unreadable_swapped": 0.25,
        "accuracy_random": 0.0,
        "accuracy_lost_random": 1.0,
        "changed_random": 1.0,
        "unreadable_random": 0.0,
    }
    assert all(figure.n == 100 for figure in figures.values())
    assert figures["accuracy_lost_swapped"].ci_low == pytest.approx(0.25 - 0.085, abs=0.015)


def test_one_tag_cannot_be_swapped(examples: list[Example]) -> None:
    result = judged(Tagged(swapped="refuse"), examples)
    for name in ("accuracy_swapped", "accuracy_lost_swapped", "changed_swapped"):
        assert result.figures[name].value is None
        assert "one tag only" in (result.figures[name].reason or "")
    assert result.details["swapped"] == "The student learnt the tag [predict] only."
    assert result.figures["changed_dropped"].value == 0.0
    with pytest.raises(ModelError):
        judged(Tagged(random="refuse"), examples)


def test_degenerate_input_gives_a_sentence(copying: Any, examples: list[Example]) -> None:
    figures = measure("tags", Subject([], student=copying)).figures
    assert all(figure.value is None and figure.reason for figure in figures.values())
    unknown = [example.model_copy(update={"answer": None}) for example in examples]
    figures = judged(copying, unknown).figures
    assert figures["accuracy_dropped"].reason == "no right answer is known"
    assert figures["changed_dropped"].value == 0.0


def test_real_students(
    taught: TrainedStudent, untaught: TrainedStudent, tiny_annotations: list[Annotation]
) -> None:
    examples = [annotation.example for annotation in tiny_annotations]
    learnt = taught.predict(examples)
    result = measure("tags", Subject(learnt, student=taught))
    figures = result.figures
    assert (figures["accuracy_learnt"].value or 0) > 0.8
    for tags in OTHERS:
        found = taught.predict(examples, tags)  # type: ignore[arg-type]
        changed = [one.answer != two.answer for one, two in zip(found, learnt, strict=True)]
        assert figures[f"changed_{tags}"].value == sum(changed) / 16
        assert figures[f"accuracy_{tags}"].value == sum(p.correct for p in found) / 16
    # Sixteen questions known by heart: asked by [explain] it explains.
    assert (figures["changed_swapped"].value or 0) > 0.5
    random = measure("tags", Subject(untaught.predict(examples), student=untaught)).figures
    assert random["unreadable_dropped"].value == 1.0
