"""Counterfactual following: students that follow their rationale, and others."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.explainability.measures import MeasureResult, measure
from distilwhy.explainability.subject import Subject
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction, TeacherText


def judged(student: Any, examples: list[Example], **more: Any) -> MeasureResult:
    return measure("following", Subject(student.predict(examples), student=student, **more))


def by_teacher(examples: list[Example], text: str) -> dict[str, Annotation]:
    return {
        example.id: Annotation(
            example=example,
            teacher="made",
            rationale=TeacherText(text=text.format(example.answer)),
            counterfactuals={c: TeacherText(text=text.format(c)) for c in example.wrong_choices},
        )
        for example in examples
    }


def test_a_student_that_copies_follows(copying: Any, examples: list[Example]) -> None:
    result = judged(copying, examples)
    for name in ("followed", "changed", "followed_made"):
        assert result.figures[name].value == 1.0
        assert result.figures[name].n == 100
    assert 0.96 < (result.figures["followed"].ci_low or 0) < 0.97
    assert result.figures["followed_teacher"].reason is not None
    assert result.details == {"probe": False, "no_own_answer": 0}
    assert all(not item.flags for item in result.items)


def test_one_that_ignores_its_rationale_does_not(ignoring: Any, examples: list[Example]) -> None:
    result = judged(ignoring, examples)
    assert result.figures["followed"].value == result.figures["changed"].value == 0.0
    assert all(item.flags == ("unfaithful",) for item in result.items)


def test_one_that_guesses_follows_by_chance(guessing: Any, examples: list[Example]) -> None:
    figures = judged(guessing, examples).figures
    # One of four choices, and three of four that are not its own.
    assert figures["followed"].value == pytest.approx(0.25, abs=0.13)
    assert figures["changed"].value == pytest.approx(0.75, abs=0.13)


def test_a_pass_of_its_own_has_no_figure_without_the_probe(
    leaking: Any, examples: list[Example]
) -> None:
    result = judged(leaking, examples)
    assert "pass of its own" in (result.reason or "")
    assert not result.figures
    probed = judged(leaking, examples, probe=True)
    assert probed.figures["followed"].value == 0.0
    assert probed.details["probe"] is True


def test_the_teachers_texts_are_used(copying: Any, examples: list[Example]) -> None:
    references = by_teacher(examples[:40], "People like it, so the answer is {}.")
    result = judged(copying, examples, references=references)
    assert result.figures["followed_teacher"].n == 40
    assert result.figures["followed_made"].n == 60
    assert result.figures["followed_teacher"].value == 1.0
    # Texts that argue without a statement leave the copying student without an answer.
    silent = judged(copying, examples, references=by_teacher(examples, "{} is liked."))
    assert silent.figures["followed_teacher"].value == 0.0
    assert silent.figures["changed"].value == 1.0


def test_texts_that_state_another_answer_or_nothing_are_left_out(
    copying: Any, examples: list[Example]
) -> None:
    example = examples[0]
    references = by_teacher([example], f"It seems {{}}, but the answer is {example.answer}.")
    references[example.id] = references[example.id].model_copy(
        update={"rationale": TeacherText(text=" ")}
    )
    result = judged(copying, [example], references=references)
    assert result.items[0].scores["source"] == "made"


def test_degenerate_input_gives_a_sentence(copying: Any, guessing: Any) -> None:
    assert measure("following", Subject([], student=copying)).figures["followed"].reason
    pair = Example(id="a", question="Cat or cat?", choices=("cat", "Cat"), answer="cat")
    said = Prediction(example=pair, answer="cat", rationale="It purrs.")
    found = measure("following", Subject([said], student=guessing))
    assert found.items[0].scores["target"] != found.items[0].scores["own_answer"]
    # The copying student finds no answer in it, so there is nothing to compare with.
    result = measure("following", Subject([said], student=copying))
    assert result.details["no_own_answer"] == 1
    assert result.figures["followed"].value is None
    assert result.figures["followed"].reason == "no item to judge"


def test_a_real_student(untaught: TrainedStudent, tiny_annotations: list[Annotation]) -> None:
    examples = [annotation.example for annotation in tiny_annotations]
    references = {annotation.example.id: annotation for annotation in tiny_annotations}
    predictions = [
        Prediction(example=a.example, rationale=f"It is what {a.example.answer} is for.")
        for a in tiny_annotations
    ]
    result = measure("following", Subject(predictions, student=untaught, references=references))
    followed = 0
    for item, example, prediction in zip(result.items, examples, predictions, strict=True):
        target, annotation = str(item.scores["target"]), references[example.id]
        assert annotation.rationale is not None
        texts = {**annotation.counterfactuals, str(example.answer): annotation.rationale}

        def read(text: str, example: Example = example) -> str:
            (found,) = untaught.choice_likelihoods([example], [text])
            return max(zip(found, example.choices, strict=True))[1]

        assert item.scores["own_answer"] == read(str(prediction.rationale)) != target
        assert item.scores["answer"] == read(texts[target].text)
        followed += item.scores["answer"] == target
    assert result.figures["followed"].value == pytest.approx(followed / 16)
    assert result.figures["followed_teacher"].n == 16
