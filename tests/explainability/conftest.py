"""Students whose faithfulness is known by construction."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from distilwhy.config import Condition, PredictionSettings, StudentSettings, TrainingSettings
from distilwhy.draws import draw
from distilwhy.files import read_json, write_json
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction
from distilwhy.tasks.answers import stated_answer
from distilwhy.training.train import train

ANIMALS = ("cat", "dog", "horse", "sheep", "goat", "mouse", "tiger", "whale", "eagle", "snake")


class MadeStudent:
    """A student that a few rules make.

    Args:
        explain: Writes its rationale of an example, given the answer that it means to give.
        answer: Reads an example and a rationale, and returns its answer.
        means: The answer that it means to give; by default drawn by the example's id.
        after_rationale: Whether it answers after its rationale, in one text.
    """

    name = "made"

    def __init__(
        self,
        explain: Callable[[Example, str], str],
        answer: Callable[[Example, str], str | None],
        means: Callable[[Example], str] | None = None,
        after_rationale: bool = True,
    ) -> None:
        self.explain = explain
        self.answer = answer
        self.means = means or (lambda example: draw(sorted(example.choices), "means", example.id))
        self.answers_after_rationale = after_rationale

    def predict(self, examples: Sequence[Example], tags: str = "learnt") -> list[Prediction]:
        found = []
        for example in examples:
            rationale = self.explain(example, self.means(example))
            answer = self.answer(example, rationale)
            found.append(
                Prediction(
                    example=example, answer=answer, answer_text=answer or "?", rationale=rationale
                )
            )
        return found

    def choice_likelihoods(
        self, examples: Sequence[Example], rationales: Sequence[str] | None = None
    ) -> list[tuple[float, ...]]:
        given = rationales or [self.explain(e, self.means(e)) for e in examples]
        chosen = [self.answer(e, r) for e, r in zip(examples, given, strict=True)]
        return [
            tuple(-0.1 if choice == answer else -5.0 for choice in example.choices)
            for example, answer in zip(examples, chosen, strict=True)
        ]


def _states(example: Example, answer: str) -> str:
    return f"It has what the question asks for, so the answer is {answer}."


def _hints(example: Example, answer: str) -> str:
    return "It has what the question asks for, and lives where others cannot."


@pytest.fixture
def examples() -> list[Example]:
    """100 questions of four animals each; the right one is the first in the alphabet."""
    made = []
    for number in range(100):
        choices = random.Random(number).sample(ANIMALS, 4)
        made.append(
            Example(
                id=f"q{number}",
                question=f"Which animal is meant by clue number {number}?",
                choices=tuple(choices),
                answer=min(choices),
            )
        )
    return made


@pytest.fixture
def copying() -> MadeStudent:
    """Copies its answer from its rationale, whatever that says; no answer where it says none."""
    return MadeStudent(
        _states, lambda example, rationale: stated_answer(rationale, example.choices)
    )


@pytest.fixture
def ignoring() -> MadeStudent:
    """Ignores its rationale: its answer is drawn by the question."""
    return MadeStudent(
        _states, lambda example, _: draw(sorted(example.choices), "means", example.id)
    )


@pytest.fixture
def leaking() -> MadeStudent:
    """Answers in a pass of its own; its rationale says nothing but that answer."""
    return MadeStudent(
        lambda _, answer: f"The answer is {answer}.",
        lambda example, _: draw(sorted(example.choices), "means", example.id),
        after_rationale=False,
    )


@pytest.fixture
def guessing() -> MadeStudent:
    """Answers at random, by question and rationale; its rationale names no choice."""
    return MadeStudent(
        _hints, lambda example, rationale: draw(sorted(example.choices), rationale, example.id)
    )


@pytest.fixture(scope="session")
def taught(
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainedStudent:
    """A tiny student that was really trained: it answers and explains in passes of their own."""
    folder = tmp_path_factory.mktemp("taught") / "student"
    settings = TrainingSettings(
        epochs=24,
        learning_rate=1e-2,
        batch_size=8,
        held_out=0.0,
        evaluations=1,
        precision="fp32",
    )
    base = StudentSettings(model=f"hf:{tiny_models['llama']}")
    train(tiny_annotations, base, Condition(method="multitask"), settings, folder)
    # The tiny models end texts at many tokens; this one is to say all that it learnt.
    card = folder / "generation_config.json"
    write_json(card, {**read_json(card), "eos_token_id": 1})
    return TrainedStudent(folder, PredictionSettings(precision="fp32", max_new_tokens=30))


@pytest.fixture(scope="session")
def untaught(make_student: Callable[..., Path]) -> TrainedStudent:
    """A tiny student of random weights that answers after its rationale."""
    weights = {"factual": 1.0, "counterfactual": 1.0}
    condition = Condition(method="counterfactual")
    folder = make_student("t5", "factual", "factual", weights=weights, condition=condition)
    return TrainedStudent(folder, PredictionSettings(precision="fp32", max_new_tokens=12))
