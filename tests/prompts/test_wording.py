"""Filling templates, and finding again what they were filled with."""

from __future__ import annotations

import pytest

from distilwhy.prompts.library import load_prompts
from distilwhy.prompts.wording import fill, last_block, one_line, shown_question, unfill
from distilwhy.records import Example


def test_fill_capitalises_first() -> None:
    assert fill("$First, $second and $first: $x", ("clear", "honest"), x="1") == (
        "Clear, honest and clear: 1"
    )


def test_values_are_not_templates() -> None:
    assert fill("$question!", ("a", "b"), question="$first ${second} {0} $") == (
        "$first ${second} {0} $!"
    )


def test_blank_lines_of_a_context_do_not_separate_questions() -> None:
    example = Example(id="1", question="Q?", choices=("a", "b"), context="One.\n \n\nTwo.")
    shown = shown_question(example)
    assert shown == "Context: One.\nTwo.\nQuestion: Q?\nChoices: (a) a (b) b"
    assert last_block(f"header\n\n{shown}") == shown


def test_one_line() -> None:
    assert one_line(" a\n b\t c ") == "a b c"


@pytest.mark.parametrize("step", ["rationale", "critique", "revision"])
def test_unfill_undoes_fill(step: str) -> None:
    values = {
        "question": "Context: Why $?\nQuestion: a (b) [c]\nChoices: (a) x (b) y",
        "answer": "x",
        "explanation": "Because.",
        "critique": "Too short.",
        "critique_request": "Say why.",
        "revision_request": "Say it better.",
    }
    templates = load_prompts("multiple_choice").templates
    block = fill(templates[step].block, ("clear", "honest"), **values)  # type: ignore[index]
    found = {name: unfill(template.block, block) for name, template in templates.items()}
    assert [name for name, filled in found.items() if filled] == [step]
    filled = found[step]
    assert filled is not None
    assert {**values, **filled} == {**values, "First": "Clear", "second": "honest"}


def test_unfill_of_other_text() -> None:
    assert unfill("$question\nAnswer: $answer.", "Something else") is None
