"""What counts as an answer, by tables of cases and by properties."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distilwhy.tasks.answers import (
    mentions,
    normalise,
    parse_answer,
    stated_answer,
    strip_answer_prefix,
)

PLACES = ("river", "bank", "bank account", "park", "market")
YES_NO = ("yes", "no")
NLI = ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is bank", "bank"),
        ("So the answer is bank.", "bank"),
        ("[answer] The answer is bank account", "bank account"),
        ("[answer] bank", "bank"),
        ("Answer: bank", "bank"),
        ("answer:bank account", "bank account"),
        ("Therefore, the correct answer is (d) park.", "park"),
        ("(b)", "bank"),
        ("b)", "bank"),
        ("b", "bank"),
        ("B.", "bank"),
        ("Answer: (C)", "bank account"),
        ("(b) bank", "bank"),
        ("b) bank account", "bank account"),
        ("C. bank account", "bank account"),
        ("**(b) bank**", "bank"),
        ("The answer is (b), bank.", "bank"),
        ("The answer is (c) bank", "bank"),  # the word is what was meant
        ("The answer is option (d).", "park"),
        ("The answer is most likely the park.", "park"),
        ("the answer is 'Bank'!", "bank"),
        ("The answer is \u201cbank\u201d.", "bank"),
        ("  BANK  ", "bank"),
        ("a bank", "bank"),
        ("The Bank.", "bank"),
        ("bank because it has money", "bank"),
        ("Bank. It keeps money safe.", "bank"),
        ("(b) because the river is wet", "bank"),
        ("The answer is bank because the river is wet", "bank"),
        ("The answer is bank, not river.", "bank"),
        ("The answer is bank account because a bank keeps it", "bank account"),
        ("bank account is the best answer", "bank account"),
        ("While a river flows, the bank is the most suitable choice.", "bank"),
        ("Option B is correct.", "bank"),
        ("The answer is river. No, the answer is bank.", "bank"),
        ("(d) park is the correct answer. So the answer is market.", "market"),
        ("[factual] Answer: Money is kept in banks, not rivers. So the answer is bank.", "bank"),
        ("The answer is not bank. The answer is park.", "park"),
        ("The answer is bank\nQuestion: Where is the park?", "bank"),
    ],
)
def test_an_answer_is_read(text: str, answer: str) -> None:
    assert parse_answer(text, PLACES) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "...",
        "I know the riverbank",
        "You keep money in a bank",
        "bank or river",
        "river, bank, park",
        "The answer is bank or river",
        "The answer is bank and river",
        "bank, unlike a river, keeps money",
        "The answer is not bank",
        "I do not think the answer is bank",
        "If the answer is bank, then money is kept there",
        "The answer is bankrupt",
        "The answer is bank holiday",
        "The answer is unhelpful",
        "(f)",
        "z",
        "the park ranger",
        "answer",
    ],
)
def test_no_answer_is_read(text: str) -> None:
    assert parse_answer(text, PLACES) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes", "yes"),
        ("no.", "no"),
        ("The answer is no", "no"),
        ("Yes, there is no doubt about it.", "yes"),
        ("No, yes-men would say so.", "no"),
        ("the answer is yes because no other holds", "yes"),
        ("I know", None),
        ("Nothing of the kind", None),
        ("There is no answer", None),
        ("Yes and no.", None),
        ("Yesterday it was so", None),
        ("notes", None),
    ],
)
def test_yes_and_no_never_hit_inside_words(text: str, answer: str | None) -> None:
    assert parse_answer(text, YES_NO) == answer


@pytest.mark.parametrize(
    ("choices", "text", "answer"),
    [
        (("a", "b"), "a", "a"),
        (("b", "a"), "a", "a"),
        (("b", "a"), "(a)", "a"),
        (("b", "a"), "The answer is a.", "a"),
        (("answer", "question"), "Answer: answer", "answer"),
        (("answer", "question"), "The answer is answer.", "answer"),
        (("1", "10", "1.5", "-1"), "The answer is 1.5.", "1.5"),
        (("1", "10", "1.5", "-1"), "10", "10"),
        (("1", "10", "1.5", "-1"), "The answer is -1.", "-1"),
        (("C", "C++", "C#"), "The answer is C++.", "C++"),
        (("C", "C++", "C#"), "c", "C"),
        (("polish", "Polish"), "The answer is Polish.", "Polish"),
        (("polish", "Polish"), "POLISH", None),
        (("the U.S.", "the U.K."), "The answer is the U.S.", "the U.S."),
        (("salt, then water", "water"), "The answer is salt, then water.", "salt, then water"),
        (("tromsø", "vadsø"), "The answer is TROMSØ", "tromsø"),
        (("同意", "反対"), "The answer is 同意.", "同意"),
        (("bank", "bank", "park"), "(b)", "bank"),
        ((":)", ":("), "The answer is :(.", ":("),
        (("0", ":0"), "The answer is :0", ":0"),
        (("bank", "park"), "The answer is:park", "park"),
        (("why the answer is x", "x"), "The answer is why the answer is x.", "why the answer is x"),
    ],
)
def test_awkward_choices(choices: tuple[str, ...], text: str, answer: str | None) -> None:
    assert parse_answer(text, choices) == answer


TEMPLATES = (
    "{}",
    "The answer is {}",
    "[answer] The answer is {}",
    "[factual] Answer: It is plain to see. So the answer is {}.",
    "Answer: {}",
    "'{}'",
)


@given(
    st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=5),
    st.data(),
    st.sampled_from(TEMPLATES),
)
def test_a_rendered_choice_is_read_back(
    choices: list[str], data: st.DataObject, template: str
) -> None:
    forms = [normalise(choice) for choice in choices]
    # "The answer is : 0" may mean "0" as well.
    assume(all(choice.strip() and choice.strip()[0] != ":" for choice in choices))
    assume(len(set(forms)) == len(forms) and all(any(map(str.isalnum, form)) for form in forms))
    choice = data.draw(st.sampled_from(choices))
    assert parse_answer(template.format(choice), choices) == choice


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=9), min_size=2, max_size=5))
def test_only_choices_are_ever_read(text: str, choices: list[str]) -> None:
    assert parse_answer(text, choices) in {None, *choices}
    assert stated_answer(text, choices) in {None, *choices}


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing_and_leaves_something(text: str) -> None:
    form = normalise(text)
    assert normalise(form) == form
    assert bool(form) == bool(text.strip())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The Bank.", "bank"),
        (" 'a  bank' ", "BANK"),
        ("\uff22ank", "bank"),
        ("(bank)", "bank"),
        ("an\u00a0apple", "apple"),
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_forms_that_are_equal(left: str, right: str) -> None:
    assert normalise(left) == normalise(right)


@pytest.mark.parametrize(
    ("left", "right"), [("C", "C++"), ("5", "-5"), ("5", "5%"), ("bank", "banks"), ("a", "the")]
)
def test_forms_that_differ(left: str, right: str) -> None:
    assert normalise(left) != normalise(right)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("[answer] The answer is bank.", "bank."),
        ("Answer: (b)", "(b)"),
        ("So the answer is yes", "yes"),
        ("The correct answer is: bank", "bank"),
        ("bank", "bank"),
        ("answer", "answer"),
        ("Answer:", "Answer:"),
        ("The answers are many", "The answers are many"),
        ("  bank ", "bank"),
    ],
)
def test_announcements_are_stripped(text: str, rest: str) -> None:
    assert strip_answer_prefix(text) == rest


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Money is kept there. The answer is bank.", "bank"),
        ("The correct choice is (b).", "bank"),
        ("Thus the bank is the best answer.", "bank"),
        ("A park is green, making the answer (d) park.", "park"),
        ("I would choose park.", "park"),
        ("The answer is river. On reflection the right option is market.", "market"),
        ("A bank keeps money, a river does not.", None),
        ("The answer is not bank.", None),
        ("I don't think the bank is the best answer.", None),
        ("This choice is a bank.", None),
        ("If the bank is the right answer, money is safe.", None),
        ("", None),
    ],
)
def test_stated_in_a_rationale(text: str, stated: str | None) -> None:
    assert stated_answer(text, PLACES) == stated


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("He sleeps, so the relationship is neutral.", "neutral"),
        ("This makes the relationship entailment: it must hold.", "entailment"),
        ("The relationship is a contradiction because he sleeps.", "contradiction"),
        ("The relationship is not neutral.", None),
        ("The premise is neutral in tone.", None),
    ],
)
def test_stated_relationship(text: str, stated: str | None) -> None:
    assert stated_answer(text, NLI) == stated


def test_a_leading_yes_or_no_is_stated() -> None:
    assert stated_answer("No, it was built later.", YES_NO) == "no"
    assert stated_answer("No bridge stood there then.", YES_NO) is None


@pytest.mark.parametrize(
    ("text", "choice", "named"),
    [
        ("Rivers are wet.", "river", True),
        ("A chicken's coop", "chickens", True),
        ("Two bakeries", "bakery", True),
        ("the glass boxes", "glass box", True),
        ("The Bank Account.", "a bank account", True),
        ("I know", "no", False),
        ("embankment", "bank", False),
        ("a bank, then an account", "bank account", False),
        ("about 1.5 litres", "5", False),
        ("costs $$ here", "$$", True),
        ("", "bank", False),
    ],
)
def test_mentions(text: str, choice: str, named: bool) -> None:
    assert mentions(text, choice) is named
