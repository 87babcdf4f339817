"""Cleaning and gates, on texts made by hand; where data are present, on real ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilwhy.records import Annotation, Example, TeacherText
from distilwhy.teaching.gates import (
    GATES,
    clean,
    count_flags,
    cut_to_sentence,
    gate,
    teacher_text,
)

EXAMPLE = Example(
    id="1",
    question="Where would a keeper lock the boats away for the winter?",
    choices=("harbour office", "boat shed", "pier", "library", "bank"),
    answer="boat shed",
)
NLI = Example(
    id="2",
    question="The man is resting on a sofa in the room.",
    context="A man in a blue shirt sleeps on a long sofa in the living room.",
    choices=("entailment", "neutral", "contradiction"),
    answer="entailment",
    family="nli",
)
YES_NO = Example(
    id="3", question="Can a boat fly?", choices=("yes", "no"), answer="no", family="yes_no"
)
GOOD = "A shed keeps boats dry through the cold months. A pier would leave them in the rain."


@pytest.mark.parametrize(
    ("step", "raw", "text"),
    [
        ("rationale", "\n  A shed\nkeeps  boats dry. \n", "A shed keeps boats dry."),
        ("rationale", "It is dry.\n\nQuestion: Where is the pier?\nAnswer:", "It is dry."),
        ("counterfactual", "It is dry.\r\n \r\nQuestion: Where?", "It is dry."),
        ("rationale", "Two reasons:\n\n1. It is dry.\n\nMore.", "Two reasons: 1. It is dry."),
        ("rationale", "Two reasons:", "Two reasons:"),
        ("critique", "\nIt is vague.\nIt is long.", "It is vague."),
        ("revision", "It is dry.\nQuestion: Where?", "It is dry."),
        ("revision", "   ", ""),
        ("rationale", "", ""),
    ],
)
def test_clean(step: str, raw: str, text: str) -> None:
    assert clean(raw, step) == text


@given(st.text(max_size=300), st.sampled_from(["rationale", "critique", "revision"]))
def test_cleaning_twice_changes_nothing_and_leaves_one_line(text: str, step: str) -> None:
    cleaned = clean(text, step)
    assert clean(cleaned, step) == cleaned
    assert "\n" not in cleaned
    assert cleaned == cleaned.strip()


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("It is dry. It is also", "It is dry."),
        ("It is dry! Is it? Perhaps the", "It is dry! Is it?"),
        ('He said "it is dry." Then he', 'He said "it is dry."'),
        ("It holds 1.5 tons and", "It holds 1.5 tons and"),
        ("It is dry. Boats, e.g. canoes, are", "It is dry."),
        ("It is dry. He met Dr. Lane and J. Smith at", "It is dry."),
        ("It is dry. 1. The roof", "It is dry."),
        ("It is dry.", "It is dry."),
        ("no sentence at all", "no sentence at all"),
        ("", ""),
    ],
)
def test_cut_to_sentence(text: str, cut: str) -> None:
    assert cut_to_sentence(text) == cut


@given(st.text(max_size=300))
def test_a_cut_text_is_a_beginning_of_the_text(text: str) -> None:
    assert text.startswith(cut_to_sentence(text))


def test_a_good_text_has_no_flags() -> None:
    for finish in ("stop", "unknown"):
        assert gate(GOOD, EXAMPLE, "boat shed", finish) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "  ", "...", "\u2014"])
def test_empty(text: str) -> None:
    assert gate(text, EXAMPLE, "boat shed", "stop") == ("empty",)


def test_truncated_is_told_by_the_finish_or_by_the_last_sentence() -> None:
    cut = GOOD + " It would also"
    assert gate(GOOD, EXAMPLE, "boat shed", "length") == ("truncated",)
    assert gate(cut, EXAMPLE, "boat shed", "stop") == ()
    assert gate(cut, EXAMPLE, "boat shed", "unknown") == ("truncated",)
    assert gate('He calls it "dry."', EXAMPLE, "boat shed", "unknown") == ()


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        ("A shed is dry and it keeps boats. " * 3, True),
        ("dry dry dry dry", True),
        ("It is very very dry.", False),
        ("so dry so dry so dry so dry", True),
        (GOOD, False),
        ("A shed keeps boats dry and a shed keeps boats safe, which a pier does not.", False),
        ("He put it in the ____ ____ ____ ____ ____ by the pier.", False),
    ],
)
def test_looping(text: str, looping: bool) -> None:
    assert ("looping" in gate(text, EXAMPLE, "boat shed", "stop")) is looping


@pytest.mark.parametrize(
    ("example", "text", "copied"),
    [
        (EXAMPLE, "Where would a keeper lock the boats away for the winter?", True),
        (EXAMPLE, "He would lock the boats away for the winter.", True),
        (
            EXAMPLE,
            "Where would a keeper lock the boats away for the winter? A shed is dry, and it has "
            "a door with a lock, so that nobody can take the boats while the lake is frozen.",
            True,
        ),
        (EXAMPLE, GOOD, False),
        (
            EXAMPLE,
            "To lock the boats away for the winter, a roof and a door are needed, and of these "
            "places only a shed has both of them and enough room.",
            False,
        ),
        (NLI, "A man in a blue shirt sleeps on a long sofa in the living room.", True),
        (
            NLI,
            "The man is resting on a sofa in the room. This follows, since whoever sleeps also "
            "rests, and a living room is one kind of place that the words would allow.",
            False,
        ),
        (YES_NO, "Can a boat fly? No boat has wings that could carry it.", False),
    ],
)
def test_copied_question(example: Example, text: str, copied: bool) -> None:
    flags = gate(text, example, example.answer, "stop")
    assert ("copied_question" in flags) is copied


@pytest.mark.parametrize(
    ("example", "text", "target", "contradicts"),
    [
        (EXAMPLE, "It is dry there. So the answer is pier.", "boat shed", True),
        (EXAMPLE, "It is dry there. So the answer is pier.", "pier", False),
        (EXAMPLE, "It is dry there. So the answer is the Boat Shed.", "boat shed", False),
        (EXAMPLE, "A pier is wet.", "boat shed", False),
        (EXAMPLE, "The answer is not boat shed.", "boat shed", False),
        (EXAMPLE, "So the answer is pier.", None, False),
        (NLI, "So the relationship is neutral.", "entailment", True),
        (YES_NO, "No, it has no wings.", "yes", True),
        (YES_NO, "No wings are needed for a flying boat.", "yes", False),
    ],
)
def test_contradicts_answer(
    example: Example, text: str, target: str | None, contradicts: bool
) -> None:
    assert ("contradicts_answer" in gate(text, example, target, "stop")) is contradicts


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("It is dry, so the answer is (c) boat shed.", True),
        ("It is dry, so the answer is (b) boat shed.", False),
        ("The answer is (c).", True),
        ("This makes option (c) the fitting place.", True),
        ("Option (c) is not suitable.", False),
        ("Option (b) fits, and option (c) is outside.", False),
        ("Choice D fits best.", True),
        ("Unlike (a) harbour office, (c) pier and (d) library, it has room.", False),
        ("The other options, (a) harbour office, (b) pier and (c) library, are full.", True),
        ("The other options, (a) Harbour Office: full, b) pier: wet, are worse.", True),
        ("It has (a) a roof and (b) a door.", False),
        ("An answer a keeper gives (in winter) is to look for a dry place.", False),
        (GOOD, False),
    ],
)
def test_wrong_letter(text: str, wrong: bool) -> None:
    assert ("wrong_letter" in gate(text, EXAMPLE, "boat shed", "stop")) is wrong


def test_either_letter_of_a_choice_that_stands_twice_is_right() -> None:
    example = EXAMPLE.model_copy(update={"choices": ("pier", "boat shed", "bank", "boat shed")})
    for letter, wrong in (("b", False), ("d", False), ("a", True)):
        text = f"It is dry, so the answer is ({letter}) boat shed."
        assert ("wrong_letter" in gate(text, example, "boat shed", "stop")) is wrong


@pytest.mark.parametrize(
    ("example", "text", "off"),
    [
        (
            YES_NO,
            "A pineapple would hardly please a shark, for sharks eat fish, seals, squid and "
            "now and then a turtle, yet never sweet yellow fruit.",
            True,
        ),
        (
            YES_NO,
            "Boats lack wings, engines of that kind, and every other part that lifts planes "
            "such as gliders or jets off the ground.",
            False,
        ),
        (YES_NO, "A pineapple would hardly please a shark.", False),
        (
            NLI,
            "The premise describes a woman who juggles three red balls before a cheering crowd, "
            "which suggests a circus, so the relationship is entailment.",
            True,
        ),
        (
            EXAMPLE,
            "Banks hold money, gold, letters and sometimes jewels behind thick steel doors "
            "which thieves rarely manage to break.",
            False,
        ),
    ],
)
def test_off_topic(example: Example, text: str, off: bool) -> None:
    assert ("off_topic" in gate(text, example, example.answer, "stop")) is off


def test_teacher_text_is_cut_and_flagged_for_what_is_left() -> None:
    raw = f"{GOOD} So the answer is pier, which\n\nQuestion: Where?"
    text = teacher_text(raw, "rationale", EXAMPLE, "boat shed", "length", 9, 40)
    assert text == TeacherText(
        text=GOOD, finish="length", flags=("truncated",), prompt_tokens=9, completion_tokens=40
    )
    wrong = teacher_text("So the answer is pier. It", "rationale", EXAMPLE, "boat shed")
    assert wrong.text == "So the answer is pier."
    assert wrong.flags == ("truncated", "contradicts_answer")


def test_flags_are_counted_by_step() -> None:
    good, bad = TeacherText(text="x"), TeacherText(text="", flags=("empty",))
    looping = TeacherText(text="x x x", flags=("truncated", "looping"))
    annotations = [
        Annotation(example=EXAMPLE, teacher="t", rationale=good, revision=bad),
        Annotation(
            example=EXAMPLE,
            teacher="t",
            rationale=looping,
            counterfactuals={"pier": looping, "bank": good, "library": looping},
        ),
    ]
    counts = count_flags(annotations)
    assert {step: (count.n, count.flags) for step, count in counts.items()} == {
        "rationale": (2, {"truncated": 1, "looping": 1}),
        "revision": (1, {"empty": 1}),
        "counterfactual": (3, {"truncated": 2, "looping": 2}),
    }


@given(st.text(max_size=200))
def test_gates_take_any_text(text: str) -> None:
    for example in (EXAMPLE, NLI, YES_NO):
        assert set(gate(text, example, example.answer, "unknown")) <= set(GATES)
