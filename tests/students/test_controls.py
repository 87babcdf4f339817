"""Spoiled explanations: whose they are, what is left of them, and what stays right."""

from __future__ import annotations

from collections import Counter

import pytest

from distilwhy.config import Condition
from distilwhy.errors import ConfigError
from distilwhy.records import Annotation, Control, Example, Round, TeacherText
from distilwhy.students.controls import controlled
from distilwhy.students.function_words import FUNCTION_WORDS, without_content_words
from distilwhy.students.views import ViewOptions, make_rows


def texts(annotation: Annotation) -> Counter[tuple[str, str]]:
    """Return every text that a view could learn, with its kind."""
    found = [("rationale", annotation.rationale), ("revision", annotation.revision)]
    found += [("critique", annotation.critique)]
    found += [("counterfactual", text) for text in annotation.counterfactuals.values()]
    found += [(name, text) for name, text in annotation.extra.items()]
    return Counter((kind, text.text) for kind, text in found if text is not None)


@pytest.fixture(scope="module")
def annotations(tiny_annotations: list[Annotation]) -> list[Annotation]:
    """Every text names its question; some examples lack a text, and one holds an empty one."""
    changed = []
    for number, annotation in enumerate(tiny_annotations):
        critique = TeacherText(text=f"Critique of {number}.")
        extra = {"advice": TeacherText(text=f"Advice on {number}.")} if number % 2 else {}
        rationale = TeacherText(text="") if number == 5 else annotation.rationale
        revision = None if number == 6 else annotation.revision
        changed.append(
            annotation.model_copy(
                update={
                    "critique": critique,
                    "extra": extra,
                    "rationale": rationale,
                    "revision": revision,
                    "rounds": (Round(critique=critique, revision=annotation.revision),),
                }
            )
        )
    return changed


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_texts_are_those_of_other_questions(
    annotations: list[Annotation], seed: int
) -> None:
    shuffled = controlled(annotations, "shuffled", seed)
    assert [a.example for a in shuffled] == [a.example for a in annotations]
    for own, other in zip(annotations, shuffled, strict=True):
        assert not texts(own) & texts(other)
        # The same kinds of texts, for the same choices and steps, and nothing beside them.
        assert own.counterfactuals.keys() == other.counterfactuals.keys()
        assert own.extra.keys() == other.extra.keys()
        assert (own.revision is None) == (other.revision is None)
        assert other.rounds == ()
    before, after = (sum(map(texts, part), Counter()) for part in (annotations, shuffled))
    del before["rationale", ""]
    assert after == before
    assert shuffled[5].rationale is None


def test_rationale_and_revision_come_from_one_question(tiny_annotations: list[Annotation]) -> None:
    shuffled = controlled(tiny_annotations, "shuffled", 3)
    pairs = {(a.rationale, a.revision) for a in tiny_annotations}
    assert all((a.rationale, a.revision) in pairs for a in shuffled)
    donors = [tuple(a.rationale.text for a in controlled(tiny_annotations, "shuffled", seed))
              for seed in (3, 3, 4)]  # fmt: skip
    assert donors[0] == donors[1] != donors[2]


def test_one_question_cannot_be_shuffled(tiny_annotations: list[Annotation]) -> None:
    with pytest.raises(ConfigError, match="too few questions with a counterfactual text: 1"):
        controlled(tiny_annotations[:1], "shuffled", 0)
    two = [a.model_copy(update={"counterfactuals": {}}) for a in tiny_annotations[:2]]
    swapped = controlled(two, "shuffled", 0)
    assert [a.rationale for a in swapped] == [two[1].rationale, two[0].rationale]


def test_empty_explanations_leave_all_rows(tiny_annotations: list[Annotation]) -> None:
    views = ("predict", "explain", "factual", "counterfactual")
    plain = make_rows(tiny_annotations, views, ViewOptions())
    spoiled = controlled(tiny_annotations, "empty", 0)
    rows = make_rows(spoiled, views, ViewOptions(blanks=True))
    assert [[row.view for row in group] for group in rows] == [
        [row.view for row in group] for group in plain
    ]
    predict, explain, factual, counterfactual = rows[0]
    assert predict == plain[0][0]
    assert (explain.source, explain.target) == (plain[0][1].source, "")
    assert factual.target == "[factual] Answer: So the answer is stove."
    assert counterfactual.source == predict.source.replace("[predict]", "[counterfactual]")
    masked = ViewOptions(blanks=True, counterfactual_form="decoder")
    assert make_rows(spoiled, ["counterfactual"], masked)[0][0].given == (
        "[counterfactual] Answer: So the answer is"
    )
    with pytest.raises(ConfigError, match="No annotation holds the text"):
        make_rows(spoiled, views, ViewOptions())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A stove gives heat, and heat boils water.", "A, and."),
        ("They don't know that it isn't Tom's; she's 42!", "They don't that it isn't; she's!"),
        ("Heat boils water. The lake can't.", "The can't."),
        ("Because of the well-known Rule 3, one would.", "Because of the, one would."),
        ("Water!", ""),
        ("", ""),
    ],
)
def test_content_words_are_left_out(text: str, left: str) -> None:
    assert without_content_words(text) == left


def test_choices_of_function_words_are_left_out_too() -> None:
    text = "No, it is not so, and none of them is in the lake."
    assert without_content_words(text) == "No, it is not so, and none of them is in the."
    assert without_content_words(text, ("yes", "no")) == "it is not so, and none of them is in the."
    left = without_content_words(text, ("none of them", "in the lake"))
    assert left == "No, it is not so, and is in the."


def test_no_content_word_survives(tiny_annotations: list[Annotation]) -> None:
    for annotation in controlled(tiny_annotations, "function_words", 0):
        for _, text in texts(annotation):
            assert {word.strip(".,").casefold() for word in text.split()} <= FUNCTION_WORDS
    assert len(FUNCTION_WORDS) > 200


def test_without_a_control_nothing_changes(tiny_annotations: list[Annotation]) -> None:
    assert controlled(tiny_annotations, None, 0) == tiny_annotations


def test_controls_have_names_of_their_own() -> None:
    controls: tuple[Control | None, ...] = (None, "shuffled", "empty", "function_words")
    assert [Condition(control=control).label for control in controls] == [
        "multitask : unrevised",
        "multitask : unrevised, control shuffled",
        "multitask : unrevised, control empty",
        "multitask : unrevised, control function words",
    ]


def test_yes_and_no_do_not_leak() -> None:
    example = Example(
        id="y", question="Can it?", choices=("yes", "no"), answer="no", family="yes_no"
    )
    annotation = Annotation(
        example=example, teacher="t", rationale=TeacherText(text="No lake can. There is no fire.")
    )
    (spoiled,) = controlled([annotation], "function_words", 0)
    assert spoiled.rationale == TeacherText(text="can. There is.")
