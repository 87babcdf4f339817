"""Rationale-answer consistency, and the reader behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from distilwhy.explainability.consistency import masked
from distilwhy.explainability.measures import MeasureResult, measure
from distilwhy.explainability.reader import Reading, expected_answers, judged_answers
from distilwhy.explainability.subject import Subject
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.generators.transformers_local import LocalGenerator
from distilwhy.judging.judge import Judge
from distilwhy.models.load import load_model
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example, Prediction
from distilwhy.tasks.answers import stated_answer

EXAMPLE = Example(
    id="a", question="Where is money kept?", choices=("bank", "river", "park"), answer="bank"
)
SOUNDS = {"cat": "meows", "dog": "barks", "horse": "neighs", "sheep": "bleats", "goat": "climbs"}
SOUNDS |= {"mouse": "squeaks", "tiger": "roars", "whale": "sings", "eagle": "soars"}
SOUNDS |= {"snake": "hisses"}


def believed(prompt: str) -> str | None:
    """Return what one believes who takes reasons at their word and knows animals' sounds."""
    shown = prompt.split("\n\n")[-1]
    choices = re.findall(r"\([a-z]\) (\w+)", shown)
    reason = re.search(r"Reason: (.*)", shown)
    if reason is None:
        return None
    heard = [choice for choice in choices if SOUNDS[choice] in reason[1]]
    return stated_answer(reason[1], choices) or (heard[0] if heard else None)


def reading() -> ScriptedGenerator:
    def likelihood(prompt: str, continuation: str) -> float:
        each = -1.0 if believed(prompt) == continuation.strip() else -4.0
        return each * len(continuation.strip())

    return ScriptedGenerator(lambda prompt: believed(prompt) or "undecided", likelihood)


@pytest.fixture(params=["consistency", "consistency_judge"])
def asked(request: pytest.FixtureRequest):
    def ask(predictions: Sequence[Prediction]) -> MeasureResult:
        reader = reading()
        return measure(request.param, Subject(predictions, scorer=reader, judge=reader))

    return ask


def values(result: MeasureResult) -> dict[str, float | None]:
    return {name: figure.value for name, figure in result.figures.items()}


def test_students_that_state_their_answer(asked, examples, copying, ignoring, leaking) -> None:
    for student in (copying, ignoring, leaking):
        assert values(asked(student.predict(examples))) == {
            "hidden": 1.0,
            "shown": 1.0,
            "masked": 0.0,
            "question_alone": 0.0,
            "added": 1.0,
            "chance": 0.25,
        }


def test_a_student_whose_rationale_says_nothing(asked, examples, guessing) -> None:
    result = asked(guessing.predict(examples))
    assert values(result)["hidden"] == values(result)["shown"] == values(result)["masked"] == 0
    assert all(item.flags == ("inconsistent",) for item in result.items)


def test_a_student_that_argues_without_naming(asked, examples: list[Example]) -> None:
    arguing = [
        Prediction(example=e, answer=e.choices[1], rationale=f"It {SOUNDS[e.choices[1]]} at night.")
        for e in examples
    ]
    result = asked(arguing)
    assert values(result)["hidden"] == values(result)["masked"] == 1
    assert not any(item.flags for item in result.items)


def test_a_student_that_argues_for_another_choice(asked, examples: list[Example]) -> None:
    stating = [
        Prediction(
            example=e, answer=e.choices[number % 2], rationale=f"The answer is {e.choices[0]}."
        )
        for number, e in enumerate(examples)
    ]
    result = asked(stating)
    assert values(result)["hidden"] == 0.5
    assert result.figures["hidden"].ci_low == pytest.approx(0.4, abs=0.02)
    flagged = {item.example_id for item in result.items if item.flags}
    assert flagged == {f"q{number}" for number in range(1, 100, 2)}


def test_degenerate_predictions(asked, examples: list[Example]) -> None:
    assert asked([Prediction(example=EXAMPLE)]).reason == "it gives no explanation"
    lost = Prediction(example=examples[0], rationale="It barks.")
    assert asked([lost]).reason == "none of its explained answers names a choice"
    kept = Prediction(example=examples[1], rationale="It is so.", answer=examples[1].answer)
    result = asked([lost, kept])
    assert result.details["without_answer"] == 1
    assert result.figures["hidden"].n == 1


def test_a_judge_that_writes_nothing_judges_nothing(examples: list[Example]) -> None:
    silent = ScriptedGenerator(lambda _: "")
    said = Prediction(example=examples[0], rationale="It barks.", answer=examples[0].answer)
    result = measure("consistency_judge", Subject([said], judge=silent))
    assert result.figures["hidden"].value is None
    assert result.figures["hidden"].reason == "no item to judge"
    assert not result.items[0].flags


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("A Bank keeps it; rivers do not.", "A ___ keeps it; ___ do not."),
        ("So the answer is (b), not (a).", "So the answer is ___, not ___."),
        ("The answer is b.", "The answer is ___."),
        ("A plan (z) is a plan.", "A plan (z) is a plan."),
        ("Bankers embark in parkas.", "Bankers embark in parkas."),
    ],
)
def test_masks(text: str, hidden: str) -> None:
    assert masked(text, EXAMPLE) == hidden


def test_masks_of_choices_that_overlap_and_of_signs() -> None:
    example = Example(id="b", question="?", choices=("post office", "office building", "$$"))
    said = "The post office building, or an office, takes $$ there."
    assert masked(said, example) == "The ___, or an office, takes ___ there."


def test_what_is_shown() -> None:
    worked = load_prompts("multiple_choice").worked_examples[:2]
    shown = Reading(EXAMPLE, question=False, rationale="It is\nsafe.").prompt().split("\n\n")
    assert shown[-1] == "Choices: (a) bank (b) river (c) park\nReason: It is safe.\nAnswer:"
    for block, example in zip(shown[:-1], worked, strict=True):
        assert "Question" not in block
        assert block.endswith(f"\nReason: {example.rationale}\nAnswer: {example.answer}")
    both = Reading(EXAMPLE, rationale="It is safe.").prompt()
    assert both.endswith(
        "Question: Where is money kept?\nChoices: (a) bank (b) river (c) park\n"
        "Reason: It is safe.\nAnswer:"
    )
    assert "Reason" not in Reading(EXAMPLE).prompt()


def test_short_choices_have_no_advantage_and_a_tie_is_no_answer() -> None:
    example = Example(id="b", question="Where?", choices=("bank", "national park"))

    def likelihood(prompt: str, continuation: str) -> float:
        # Half a nat a character; "national park" is less likely in all, but told of.
        told = 2.0 if "Reason" in prompt and continuation == " national park" else 0.0
        return -0.5 * len(continuation.strip()) + told

    scorer = ScriptedGenerator(lambda _: "", likelihood)
    told, untold = Reading(example, rationale="It is wide."), Reading(example)
    assert expected_answers(scorer, [told, untold]) == ["national park", None]


def test_a_judge_is_read_as_students_are() -> None:
    texts = {"one": "The answer is river.\nmore", "two": "(c)", "three": "undecided", "four": ""}
    judge = ScriptedGenerator(lambda prompt: texts[prompt.split()[-2]])
    readings = [Reading(EXAMPLE, rationale=number) for number in texts]
    assert judged_answers(Judge(judge), readings) == ["river", "park", None, ""]
    assert all(prompt.startswith("Read the reason") for prompt in judge.calls)


def test_a_local_model_scores_as_by_transformers_alone(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation]
) -> None:
    loaded = load_model(f"hf:{tiny_models['llama']}", torch.float32)
    predictions = [
        Prediction(
            example=a.example,
            answer=a.example.choices[0],
            rationale=a.rationale and a.rationale.text,
        )
        for a in tiny_annotations[:6]
    ]

    def likelihood(prompt: str, text: str) -> float:
        ids, target = (
            loaded.tokenizer(t, add_special_tokens=False)["input_ids"] for t in (prompt, text)
        )
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([ids + target])).logits[0, len(ids) - 1 : -1]
        return float(logits.log_softmax(-1).gather(1, torch.tensor(target)[:, None]).sum())

    def wanted(prediction: Prediction, reading: Reading) -> bool:
        scores = {
            choice: likelihood(reading.prompt(), f" {choice}") / len(choice)
            for choice in prediction.example.choices
        }
        return max(scores, key=lambda choice: scores[choice]) == prediction.answer

    result = measure("consistency", Subject(predictions, scorer=LocalGenerator(loaded)))
    assert [(i.scores["question_alone"], i.scores["hidden"]) for i in result.items] == [
        (
            wanted(p, Reading(p.example)),
            wanted(p, Reading(p.example, question=False, rationale=p.rationale)),
        )
        for p in predictions
    ]
    assert result.details["reader"] == loaded.name
