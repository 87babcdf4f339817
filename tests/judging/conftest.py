"""Predictions to be judged, and judges whose preferences are known."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from distilwhy.records import Example, Prediction


def _prediction(number: int, text: str, answer: str = "heron") -> Prediction:
    example = Example(
        id=f"q{number}",
        question=f"Which bird stands in pond number {number}?",
        choices=("heron", "swift", "robin"),
        answer="heron",
    )
    return Prediction(example=example, answer=answer, answer_text=answer, rationale=text)


@pytest.fixture
def said() -> Callable[..., Prediction]:
    """Makes the prediction of a question by its number and an explanation."""
    return _prediction


@pytest.fixture
def explanations() -> Callable[[str], list[str]]:
    """Reads the explanations that a prompt shows, in order."""
    return lambda prompt: re.findall(r"<<< (.*?) >>>\n?", prompt.split("Question:", 1)[1])
