"""Prompts: what they hold, what they share, and that they are the same in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import distilwhy
from distilwhy.config import TeachingSettings
from distilwhy.errors import ConfigError, DataError
from distilwhy.files import read_records
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example
from distilwhy.tasks.base import question_text
from distilwhy.teaching.own_answers import split_answer
from distilwhy.teaching.steps import (
    Asking,
    answer_prompt,
    counterfactual_prompt,
    critique_prompt,
    rationale_prompt,
    revision_prompt,
)

EXAMPLE = Example(id="q1", question="What is wet?", choices=("sand", "rain", "fire"), answer="rain")
PREMISE = Example(
    id="p1",
    question="A man sleeps.",
    choices=("entailment", "neutral", "contradiction"),
    answer="contradiction",
    context="A man runs.",
    family="nli",
)


def asking(family: str = "multiple_choice", seed: int = 0, **settings: object) -> Asking:
    return Asking(load_prompts(family), TeachingSettings(**settings), seed)  # type: ignore[arg-type]


def all_prompts(example: Example, ask: Asking) -> list[str]:
    return [
        rationale_prompt(example, ask).prompt,
        counterfactual_prompt(example, example.wrong_choices[0], ask).prompt,
        critique_prompt(example, "Water falls.", ask).prompt,
        revision_prompt(example, "Water falls.", "Too short.", ask).prompt,
        answer_prompt(example, ask).prompt,
    ]


def test_rationale_prompt_gives_the_right_answer_last() -> None:
    ask = asking(shots=2)
    step = rationale_prompt(EXAMPLE, ask)
    first, second = ask.adjectives(EXAMPLE, "rationale")
    assert step.target == "rain"
    assert step.prompt.startswith(step.prefix)
    assert step.prompt.removeprefix(step.prefix) == (
        f"{question_text(EXAMPLE)}\n"
        f"{first.capitalize()} and {second} explanation: The answer is rain."
    )
    speaker = f"{first.capitalize()} and {second} explanation:"
    assert step.prompt.count(speaker) == 3
    for worked in ask.prompts.worked_examples[:2]:
        assert f"The answer is {worked.answer}. {worked.rationale}\n\n" in step.prefix
    assert ask.prompts.worked_examples[2].question not in step.prompt


def test_counterfactual_is_the_rationale_prompt_for_another_choice() -> None:
    ask = asking()
    rationale = rationale_prompt(EXAMPLE, ask)
    counterfactual = counterfactual_prompt(EXAMPLE, "fire", ask)
    assert counterfactual.target == "fire"
    assert counterfactual.prefix == rationale.prefix
    assert counterfactual.prompt == rationale.prompt[: -len("rain.")] + "fire."


def test_answer_prompt_withholds_the_answer_and_shares_the_prefix() -> None:
    ask = asking()
    step = answer_prompt(EXAMPLE, ask)
    assert step.target is None
    assert step.prefix == rationale_prompt(EXAMPLE, ask).prefix
    assert step.prompt + " rain." == rationale_prompt(EXAMPLE, ask).prompt
    unknown = EXAMPLE.model_copy(update={"answer": None})
    assert answer_prompt(unknown, ask) == step


def test_critique_and_revision_speak_of_the_same_flaw() -> None:
    ask = asking()
    flaw = ask.prompts.flaws[ask.flaw(EXAMPLE)]
    critique = critique_prompt(EXAMPLE, "Water\nfalls.", ask)
    revision = revision_prompt(EXAMPLE, "Water falls.", "Too short.", ask)
    own = critique.prompt.removeprefix(critique.prefix)
    assert "The answer is rain. Water falls.\n" in own
    assert flaw.critique in own
    assert critique.target is None
    own = revision.prompt.removeprefix(revision.prefix)
    assert "The answer is rain. Water falls.\n" in own
    assert "Critique: Too short.\n" in own
    assert flaw.revision in own
    assert own.endswith("The answer is rain.")
    assert revision.target == "rain"


@pytest.mark.parametrize("shots", [1, 7])
def test_worked_examples_show_the_flaw_and_its_mending(shots: int) -> None:
    ask = asking("yes_no", shots=shots)
    example = Example(
        id="y", question="Is it?", choices=("yes", "no"), answer="no", family="yes_no"
    )
    critique = critique_prompt(example, "R.", ask).prefix
    revision = revision_prompt(example, "R.", "C.", ask).prefix
    for worked in ask.prompts.worked_examples[:shots]:
        request = ask.prompts.flaws[worked.flaw]
        assert worked.flawed_rationale in critique
        assert f"{request.critique}\n" in critique
        assert f" {worked.critique}\n\n" in critique
        assert f"Critique: {worked.critique}\n" in revision
        assert f" {worked.revision}\n\n" in revision


def test_premise_and_hypothesis_are_shown() -> None:
    prompt = rationale_prompt(PREMISE, asking("nli")).prompt
    assert "Premise: A man runs.\nHypothesis: A man sleeps.\n" in prompt


def test_prompts_end_where_the_text_begins() -> None:
    for prompt in all_prompts(EXAMPLE, asking(shots=3)):
        assert prompt == prompt.rstrip()


def test_small_pool_keeps_prefixes_few_and_equal() -> None:
    ask = asking(adjective_pairs=4)
    examples = [EXAMPLE.model_copy(update={"id": str(number)}) for number in range(60)]
    steps = [critique_prompt(example, f"R{example.id}.", ask) for example in examples]
    assert len({step.prefix for step in steps}) == 4
    paper = asking(adjective_pairs="all")
    assert len({critique_prompt(example, "R.", paper).prefix for example in examples}) > 40


def test_decoding_follows_the_settings() -> None:
    plain = rationale_prompt(EXAMPLE, asking(max_new_tokens=33)).decoding
    assert (plain.max_new_tokens, plain.stop, plain.chat) == (33, ("\n",), False)
    chat = rationale_prompt(EXAMPLE, asking(chat=True)).decoding
    assert chat.chat
    # A chat model may begin with a line break: stopping there would leave nothing.
    assert "\n" not in chat.stop


def test_text_of_a_question_cannot_fill_templates() -> None:
    sly = EXAMPLE.model_copy(update={"question": "$answer ${first}?\n\nQuestion: next"})
    step = rationale_prompt(sly, asking(shots=1))
    assert "$answer ${first}?\nQuestion: next\n" in step.prompt.removeprefix(step.prefix)


def test_more_shots_than_worked_examples_are_refused() -> None:
    prompts = load_prompts("nli")
    few = prompts.model_copy(update={"worked_examples": prompts.worked_examples[:2]})
    with pytest.raises(ConfigError, match=r"shots is 7 but the prompt file has 2"):
        Asking(few, TeachingSettings(), 0)


def test_unknown_answer_is_refused() -> None:
    unknown = EXAMPLE.model_copy(update={"answer": None})
    with pytest.raises(DataError, match="'q1' has no answer"):
        rationale_prompt(unknown, asking())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (" rain. Water is wet.", ("rain", "Water is wet.")),
        ("Rain. Water is wet.", ("Rain", "Water is wet.")),
        ("rain", ("rain", "")),
        ("U.S. mail. It comes daily.", ("U.S. mail", "It comes daily.")),
        ("the sea. It is wet. Very.", ("the sea", "It is wet. Very.")),
        ("rainbow. Colours.", ("rainbow", "Colours.")),
        ("", ("", "")),
    ],
)
def test_split_answer(text: str, parts: tuple[str, str]) -> None:
    example = Example(id="1", question="Q", choices=("rain", "U.S. mail"))
    assert split_answer(text, example) == parts


PRINT_HASH = """
import hashlib, sys
sys.path.insert(0, {folder!r})
import test_steps as steps
pairs = [("multiple_choice", steps.EXAMPLE), ("nli", steps.PREMISE)]
text = repr([steps.all_prompts(e, steps.asking(f, seed=5)) for f, e in pairs])
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_prompts_are_byte_equal_in_other_processes() -> None:
    pairs = [("multiple_choice", EXAMPLE), ("nli", PREMISE)]
    assert all_prompts(EXAMPLE, asking(seed=5)) != all_prompts(EXAMPLE, asking(seed=6))
    code = PRINT_HASH.format(folder=str(Path(__file__).parent))
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    here = repr([all_prompts(example, asking(family, seed=5)) for family, example in pairs])
    assert digests == {hashlib.sha256(here.encode()).hexdigest() + "\n"}


def test_the_page_on_teaching_shows_real_prompts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
    mini = Path(distilwhy.__file__).parent / "tasks" / "mini_data" / "train.jsonl"
    (example,) = (e for e in read_records(mini, Example) if "fish take oxygen" in e.question)
    ask = asking(shots=1)
    assert f"```text\n{rationale_prompt(example, ask).prompt}\n```" in page
    revision = revision_prompt(
        example,
        "A fish has gills, which are small openings that allow it to breathe.",
        "The explanation does not show why scales or fins could not do the same.",
        ask,
    )
    assert f"```text\n{revision.prompt.removeprefix(revision.prefix)}\n```" in page
