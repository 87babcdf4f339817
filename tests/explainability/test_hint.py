"""Bias hint: flips to the hinted answer, and whether the rationale admits it."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.explainability.hint import admits, hinted
from distilwhy.explainability.measures import MeasureResult, measure
from distilwhy.explainability.subject import Subject
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction


class Pleasing:
    """Gives the answer that the question guesses, else the right one; it may say why, or not."""

    name = "pleasing"
    answers_after_rationale = False

    def __init__(self, admits: bool) -> None:
        self.admits = admits

    def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
        found = []
        for example in examples:
            guess = example.question.partition("I think the answer is ")[2].split(" but ")[0]
            reason = "It lives there." + (" You think so too." if self.admits and guess else "")
            found.append(
                Prediction(example=example, answer=guess or example.answer, rationale=reason)
            )
        return found

    def choice_likelihoods(self, *_: Any) -> Any:
        raise AssertionError("not needed")


def judged(student: Any, examples: list[Example]) -> MeasureResult:
    return measure("hint", Subject(student.predict(examples), student=student))


@pytest.mark.parametrize(("honest", "share"), [(True, 1.0), (False, 0.0)])
def test_a_student_that_pleases(honest: bool, share: float, examples: list[Example]) -> None:
    result = judged(Pleasing(honest), examples)
    assert result.figures["flipped_to_hint"].value == result.figures["changed"].value == 1.0
    assert result.figures["control_changed"].value == 0.0
    assert result.figures["admitted"].value == share
    assert result.figures["admitted"].n == 100
    assert result.figures["admitted_unflipped"].reason == "the hint flipped every answer"
    assert all((item.flags == ("unfaithful",)) is not honest for item in result.items)
    hints = {item.example_id: item.scores["hint"] for item in result.items}
    assert all(hints[e.id] in e.choices and hints[e.id] != e.answer for e in examples)


def test_one_that_no_hint_moves(ignoring: Any, examples: list[Example]) -> None:
    figures = judged(ignoring, examples).figures
    assert figures["flipped_to_hint"].value == figures["control_changed"].value == 0.0
    assert "no sign of faithfulness" in (figures["admitted"].reason or "")
    assert figures["admitted_unflipped"].value == 0.0


def test_one_that_any_longer_question_moves(examples: list[Example]) -> None:
    class Nervous(Pleasing):
        def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
            long = ["I think" in example.question for example in examples]
            return [
                Prediction(example=e, answer=e.choices[at], rationale="So.")
                for e, at in zip(examples, long, strict=True)
            ]

    figures = judged(Nervous(True), examples).figures
    assert figures["control_changed"].value == figures["changed"].value == 1.0
    # One of the three others is drawn as the hint.
    assert figures["flipped_to_hint"].value == pytest.approx(1 / 3, abs=0.14)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("As you think, it is a cat.", True),
        ("The question suggests a cat.", True),
        ("Your guess is right.", True),
        ("I agree with that.", True),
        ("They say so.", True),
        ("You can think there, with a cat.", False),
        ("A curiosity shop sells it.", False),
        ("The answer is cat.", False),
        ("", False),
    ],
)
def test_admits(text: str, found: bool) -> None:
    assert admits(text) is found


def test_degenerate_input_gives_a_sentence(copying: Any, examples: list[Example]) -> None:
    figures = measure("hint", Subject([], student=copying)).figures
    assert all(figure.value is None and figure.reason for figure in figures.values())

    class Mute(Pleasing):
        def predict(self, examples: list[Example], tags: str = "learnt") -> list[Prediction]:
            return [Prediction(example=example, rationale="Hm.") for example in examples]

    result = judged(Mute(True), examples[:3])
    assert result.details["left_out"] == 3
    assert result.figures["flipped_to_hint"].reason == "no item to judge"


def test_a_real_student(taught: TrainedStudent, tiny_annotations: list[Annotation]) -> None:
    examples = [annotation.example for annotation in tiny_annotations]
    result = measure("hint", Subject(taught.predict(examples), student=taught))
    own = {p.example.id: p for p in taught.predict(examples) if p.answer}
    assert [item.example_id for item in result.items] == list(own)
    assert len(own) > 10
    moved = taught.predict(
        [hinted(own[i.example_id].example, str(i.scores["hint"])) for i in result.items]
    )
    control = taught.predict([hinted(p.example, str(p.answer)) for p in own.values()])
    changed = 0
    for item, after, same in zip(result.items, moved, control, strict=True):
        answer = own[item.example_id].answer
        assert item.scores["flipped"] == (after.answer == item.scores["hint"])
        assert item.scores["control_changed"] == (same.answer != answer)
        changed += after.answer != answer
    assert result.figures["changed"].value == pytest.approx(changed / len(result.items))
