"""What counts as a question, family by family, and what hostile or careless texts come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilwhy.growing.limits import Malformed
from distilwhy.growing.parse import parse
from distilwhy.growing.prompt import writing_place
from distilwhy.records import Example

GOOD = " Where do ships wait?\nChoices: (a) harbour (b) attic (c) stage (d) lawn (e) oven\nAnswer: "


KINDS = ("choices", "yes_no", "nli", "labels")
Read = Callable[..., Any]


@pytest.fixture
def read(make_asking: Any) -> Read:
    """Reads a text that was written for some place."""

    def read_text(
        text: str, kind: str = "choices", label: str | None = None, finish: Any = "stop"
    ) -> Any:
        asking = make_asking(kind)
        return parse(text, finish, writing_place(4, label, asking), asking, "g-4")

    return read_text


@pytest.fixture
def fault(read: Read) -> Callable[..., str]:
    """Reads a text that is no question, and returns what is wrong with it."""

    def fault_of(text: str, **more: Any) -> str:
        found = read(text, **more)
        assert isinstance(found, Malformed), found
        return found.fault

    return fault_of


@pytest.mark.parametrize("answer", ["harbour", "Harbour.", "(a)", "(a) harbour", "the harbour\n"])
def test_a_question_with_choices_of_its_own(read: Read, answer: str) -> None:
    assert read(GOOD + answer) == Example(
        id="g-4",
        question="Where do ships wait?",
        choices=("harbour", "attic", "stage", "lawn", "oven"),
        answer="harbour",
    )


@pytest.mark.parametrize(
    "text",
    [
        "Question: Where do ships wait?\nChoices: (a) harbour (b) attic (c) stage (d) lawn (e) oven"
        "\nAnswer: harbour",
        "\n\nExample 9\n**Question:** Where do ships wait?\n\n**Choices:** (a) harbour (b) attic "
        '(c) stage (d) lawn (e) oven\n\n**Answer:** "harbour"\n\nI hope that this helps!',
        " Where do ships wait?\nChoices:\n(a) harbour,\n(b) attic,\n(c) stage,\n(d) lawn,\n(e) oven"
        "\nAnswer: (a)",
        " Where do ships wait?\r\nChoices: (a) harbour. (b) attic. (c) stage. (d) lawn. (e) oven."
        "\r\nAnswer: harbour.\r\nQuestion: And another?",
    ],
)
def test_other_ways_to_write_the_same(read: Read, text: str) -> None:
    assert read(text) == read(GOOD + "harbour")


@pytest.mark.parametrize("text", [" Can a duck swim?", "Answer: Yes\nQuestion: Can a duck swim?"])
def test_a_question_that_was_asked_for_by_its_label(read: Read, text: str) -> None:
    found = read(text, kind="yes_no", label="yes")
    assert (found.question, found.choices, found.answer) == (
        "Can a duck swim?",
        ("yes", "no"),
        "yes",
    )
    assert found.family == "yes_no"


def test_premise_and_hypothesis(read: Read) -> None:
    found = read(" Two dogs run.\nHypothesis: Cats sleep.", kind="nli", label="neutral")
    assert (found.context, found.question) == ("Two dogs run.", "Cats sleep.")
    assert (found.answer, found.family) == ("neutral", "nli")


def test_a_text_with_a_label_of_the_task(read: Read) -> None:
    found = read(" The invoice is wrong.", kind="labels", label="billing")
    assert (found.choices, found.answer) == (("billing", "delivery", "other"), "billing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        (" Where do ships wait?", "field missing"),
        (" Where do ships wait?\nAnswer: harbour", "field missing"),
        (GOOD, "field missing"),
        (GOOD + "cellar", "answer not among choices"),
        (GOOD + "harbour or attic", "answer not among choices"),
        (GOOD + "(g)", "answer not among choices"),
        (GOOD.replace("attic", "the Harbour") + "harbour", "choice repeated"),
        (GOOD.replace(" (e) oven", "") + "harbour", "number of choices"),
        (GOOD.replace("(e) oven", "(e) oven (f) tree") + "harbour", "number of choices"),
        (GOOD.replace("(a) harbour (b)", "harbour,") + "harbour", "choices not lettered"),
        (GOOD.replace("(b)", "(c)") + "harbour", "choices not lettered"),
        (GOOD.replace("attic", "") + "harbour", "choices not lettered"),
        (GOOD.replace("attic", "...") + "harbour", "choices not lettered"),
        (GOOD.replace("oven", "all of the above") + "harbour", "refers to choices"),
        (GOOD.replace("oven", "both (a) and (b)") + "harbour", "choices not lettered"),
        (GOOD.replace("oven", "both a and b") + "harbour", "refers to choices"),
        (GOOD.replace("wait?", "wait.") + "harbour", "no question mark"),
        (GOOD.replace("Where do ships wait", "?!") + "harbour", "empty"),
        (GOOD.replace("ships", "<b>ships</b>") + "harbour", "markup"),
        (GOOD.replace("attic", "<script>alert(1)</script>") + "harbour", "markup"),
        (GOOD.replace("attic", "[x](https://a.example)") + "harbour", "markup"),
        (GOOD.replace("attic", "```rm```") + "harbour", "markup"),
        (GOOD.replace("ships", "shi\x00ps") + "harbour", "control characters"),
        (GOOD.replace("ships", "shi\u202eps") + "harbour", "control characters"),
        (GOOD.replace("ships", "\x1b[31mships") + "harbour", "control characters"),
        (GOOD.replace("ships", "ships\ufffd") + "harbour", "control characters"),
        (GOOD.replace("ships", "ships " * 200) + "harbour", "too long"),
        (GOOD.replace("attic", "attic " * 40) + "harbour", "too long"),
        ("x" * 1_000_000, "too long"),
        (GOOD.replace("wait?", "wait? Answer: harbour?") + "harbour", "echo"),
        (GOOD.replace("Where do ships wait?", "Where household things are?") + "harbour", "echo"),
        (GOOD.replace("Where do ships wait?", "Example 12 is where?") + "harbour", "echo"),
        (" Where do ships wait?\nThey wait there.\n" + GOOD, "stray text"),
        (" Where do ships wait?\nPremise: A ship.\nChoices: (a) b", "stray text"),
        ("Sure, here is one:\n\nQuestion:" + GOOD + "harbour", "field missing"),
    ],
)
def test_what_is_no_question_and_why(fault: Callable[..., str], text: str, expected: str) -> None:
    assert fault(text) == expected


def test_a_chat_model_may_say_something_first(make_asking: Any, read: Read) -> None:
    asking = make_asking(chat=True)
    text = "Sure, here is one:\n\nQuestion:" + GOOD + "harbour"
    assert parse(text, "stop", writing_place(4, None, asking), asking, "g-4") == read(
        GOOD + "harbour"
    )


def test_labels_that_contradict_the_one_asked_for(fault: Callable[..., str]) -> None:
    text = "Answer: no\nQuestion: Can a duck swim?"
    assert fault(text, kind="yes_no", label="yes") == "other label"


def test_a_text_that_hit_the_token_limit_counts_only_where_more_follows(
    read: Read, fault: Callable[..., str]
) -> None:
    assert fault(GOOD + "harbour", finish="length") == "cut off"
    assert isinstance(read(GOOD + "harbour\n\nExample 8\nQuest", finish="length"), Example)


def test_markup_is_fine_where_seed_examples_have_it(make_asking: Any) -> None:
    asking = make_asking("yes_no")
    seeds = [
        asking.seeds[0].model_copy(update={"question": "Is <b>x</b> bold?"}),
        *asking.seeds[1:],
    ]
    asking = type(asking)(asking.description, seeds, asking.shape, asking.settings, 0)
    found = parse(" Is <i>x</i> bold?", "stop", writing_place(0, "no", asking), asking, "g")
    assert isinstance(found, Example)


@given(st.text(max_size=300), st.sampled_from(KINDS))
def test_any_text_is_read_or_refused(make_asking: Any, text: str, kind: str) -> None:
    asking = make_asking(kind)
    label = asking.shape.labels[0] if asking.shape.labels else None
    found = parse(text, "stop", writing_place(1, label, asking), asking, "g-1")
    assert isinstance(found, Example | Malformed)
    if isinstance(found, Example):
        assert found.answer in found.choices
        assert len(found.choices) in asking.shape.counts
        assert "\n" not in found.question
