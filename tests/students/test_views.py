"""Views against the paper's table of inputs and targets, written out."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from distilwhy.errors import ConfigError
from distilwhy.records import Annotation, Example, TeacherText
from distilwhy.students.views import VIEWS, Row, ViewOptions, make_rows, with_tag_at_end

CHOICE = Annotation(
    example=Example(
        id="c1",
        question="Where does water boil?",
        choices=("stove", "garden", "lake", "garden"),
        answer="stove",
    ),
    teacher="t",
    rationale=TeacherText(text="A stove heats."),
    revision=TeacherText(text="Only a stove heats."),
    counterfactuals={
        "garden": TeacherText(text="Gardens are warm."),
        "lake": TeacherText(text="Lakes hold water."),
    },
)
NLI = Annotation(
    example=Example(
        id="n1",
        question="Somebody is outside.",
        context="A man walks a dog.",
        choices=("entailment", "neutral", "contradiction"),
        answer="entailment",
        family="nli",
    ),
    teacher="t",
    rationale=TeacherText(text="Dogs are walked outside."),
    revision=TeacherText(text="One walks a dog outside."),
    counterfactuals={"neutral": TeacherText(text="He may walk indoors.")},
)
YES_NO = Annotation(
    example=Example(
        id="y1",
        question="Can a lake boil?",
        context="Lakes are large.",
        choices=("yes", "no"),
        answer="no",
        family="yes_no",
    ),
    teacher="t",
    rationale=TeacherText(text="It is too large."),
    revision=TeacherText(text="No fire is that large."),
    counterfactuals={"yes": TeacherText(text="Water boils.")},
)
ASKED = {
    "c1": "Question: Where does water boil?\nChoices: (a) stove (b) garden (c) lake (d) garden",
    "n1": "Premise: A man walks a dog.\nHypothesis: Somebody is outside.\n"
    "Choices: (a) entailment (b) neutral (c) contradiction",
    "y1": "Context: Lakes are large.\nQuestion: Can a lake boil?\nChoices: (a) yes (b) no",
}


@pytest.mark.parametrize("data", ["unrevised", "revised"])
@pytest.mark.parametrize("annotation", [CHOICE, NLI, YES_NO], ids=lambda a: a.example.family)
def test_the_papers_table(annotation: Annotation, data: str) -> None:
    asked, key = ASKED[annotation.example.id], annotation.example.id
    answer = annotation.example.answer
    taught = annotation.rationale if data == "unrevised" else annotation.revision
    assert taught is not None
    options = ViewOptions(data=data, wrong_choices="all")  # type: ignore[arg-type]
    (rows,) = make_rows([annotation], list(VIEWS), options)
    expected = {
        "predict": [(f"[predict] {asked}\n", f"[answer] The answer is {answer}")],
        "explain": [(f"[explain] {asked}\n", taught.text)],
        "factual": [
            (
                f"[factual] {asked}\n",
                f"[factual] Answer: {taught.text} So the answer is {answer}.",
            )
        ],
        "counterfactual": [
            (
                f"[counterfactual] {asked}\n{text.text}\n",
                f"[counterfactual] So the answer is {wrong}.",
            )
            for wrong, text in annotation.counterfactuals.items()
        ],
    }
    assert set(expected) == set(VIEWS)
    assert rows == [
        Row(key, view, source, target) for view in VIEWS for source, target in expected[view]
    ]


def test_decoder_form_moves_the_rationale_into_the_target() -> None:
    options = ViewOptions(counterfactual_form="decoder")
    ((row,),) = make_rows([NLI], ["counterfactual"], options)
    assert row.source == f"[counterfactual] {ASKED['n1']}\n"
    assert row.given == "[counterfactual] Answer: He may walk indoors. So the answer is"
    assert row.target == " neutral."


@pytest.mark.parametrize(
    ("form", "given", "target"),
    [
        ("input", " He may walk indoors.", " So the answer is neutral."),
        ("decoder", " Answer: He may walk indoors. So the answer is", " neutral."),
    ],
)
def test_tags_at_the_end_leave_the_question_alone(form: Any, given: str, target: str) -> None:
    options = ViewOptions(counterfactual_form=form, tag="end")
    (rows,) = make_rows([NLI], list(VIEWS), options)
    assert {row.source for row in rows} == {f"{ASKED['n1']}\n"}
    found = {row.view: (row.tag, row.given, row.target) for row in rows}
    reason = "Dogs are walked outside."
    assert found == {
        "predict": ("[predict]", "", " [answer] The answer is entailment"),
        "explain": ("[explain]", "", f" {reason}"),
        "factual": ("[factual]", "", f" Answer: {reason} So the answer is entailment."),
        "counterfactual": ("[counterfactual]", given, target),
    }


def test_any_view_can_have_its_tag_at_the_end() -> None:
    annotation = NLI.model_copy(update={"extra": {"hint": TeacherText(text="Dogs.")}})
    ((hint,),) = make_rows([annotation], ["extra:hint"], ViewOptions(tag="end"))
    assert (hint.source, hint.tag, hint.target) == (f"{ASKED['n1']}\n", "[hint]", " Dogs.")
    empty = NLI.model_copy(update={"rationale": TeacherText(text="")})
    ((blank,),) = make_rows([empty], ["explain"], ViewOptions(tag="end", blanks=True))
    assert (blank.tag, blank.given, blank.target) == ("[explain]", "", "")
    own = Row("n1", "mine", "Anything else", "a target")
    assert with_tag_at_end(own, NLI.example) == own


def test_one_wrong_choice_is_drawn_by_seed_and_id() -> None:
    def drawn(seed: int, key: str = "c1") -> str:
        example = CHOICE.example.model_copy(update={"id": key})
        annotation = CHOICE.model_copy(update={"example": example})
        ((row,),) = make_rows([annotation], ["counterfactual"], ViewOptions(seed=seed))
        return row.target

    assert {drawn(seed) for seed in range(20)} == {
        "[counterfactual] So the answer is garden.",
        "[counterfactual] So the answer is lake.",
    }
    assert len({drawn(0, f"c{number}") for number in range(20)}) == 2
    code = (
        "import json, sys\n"
        "from distilwhy.records import Annotation\n"
        "from distilwhy.students.views import ViewOptions, make_rows\n"
        "annotation = Annotation.model_validate_json(sys.stdin.read())\n"
        "for seed in range(8):\n"
        "    ((row,),) = make_rows([annotation], ['counterfactual'], ViewOptions(seed=seed))\n"
        "    print(row.target)\n"
    )
    here = [drawn(seed) for seed in range(8)]
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        input=CHOICE.model_dump_json(),
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.splitlines() == here


def test_annotations_without_texts_give_no_rows() -> None:
    bare = CHOICE.model_copy(
        update={"rationale": TeacherText(text=""), "revision": None, "counterfactuals": {}}
    )
    views = ["explain", "factual", "counterfactual"]
    rows, none = make_rows([NLI, bare], views, ViewOptions(data="revised"))
    assert [row.view for row in rows] == views
    assert none == []


def test_a_view_whose_text_is_nowhere_is_told() -> None:
    bare = CHOICE.model_copy(update={"revision": None})
    with pytest.raises(ConfigError, match=r"view 'factual' learns from \(revised data\)"):
        make_rows([bare], ["predict", "factual"], ViewOptions(data="revised"))
    with pytest.raises(ConfigError, match="no view named 'explian'"):
        make_rows([bare], ["explian"], ViewOptions())
