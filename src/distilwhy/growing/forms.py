"""The form in which a question is written: one line for each field, in a set order."""

from __future__ import annotations

from typing import Literal

from distilwhy.growing.shape import Shape
from distilwhy.prompts.wording import one_line
from distilwhy.records import LETTERS, Example

Field = Literal["Context", "Premise", "Hypothesis", "Question", "Answer", "Choices"]
FIELDS: tuple[Field, ...] = ("Context", "Premise", "Hypothesis", "Question", "Answer", "Choices")


def fields_of(shape: Shape, context: bool) -> tuple[Field, ...]:
    """Return the fields of a question, in the order in which they are written.

    With labels, the answer comes first, so that a question can be asked for by its label. With
    choices of its own, the question looks as it does everywhere.

    Args:
        shape: The shape of the task's examples.
        context: Whether the question has a context; premises are always there.
    """
    if shape.family == "nli":
        return ("Answer", "Premise", "Hypothesis")
    text: tuple[Field, ...] = ("Context", "Question") if context else ("Question",)
    return ("Answer", *text) if shape.labels else (*text, "Choices", "Answer")


def written(example: Example, shape: Shape) -> str:
    """Return an example as the teacher should write one, a line for each field."""
    values = {
        "Context": example.context,
        "Premise": example.context,
        "Hypothesis": example.question,
        "Question": example.question,
        "Answer": example.answer,
        "Choices": lettered(example.choices),
    }
    fields = fields_of(shape, example.context is not None)
    return "\n".join(f"{field}: {one_line(str(values[field]))}" for field in fields)


def lettered(choices: tuple[str, ...]) -> str:
    """Return choices on one line, each after its letter."""
    return " ".join(
        f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)
    )


def title(number: int) -> str:
    """Return the line above an example; the number sets equal prompts apart."""
    return f"Example {number}"
