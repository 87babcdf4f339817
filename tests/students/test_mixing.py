"""Explanations of several sources: who gets whose, by which shares, and as which rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from distilwhy.config import Condition
from distilwhy.errors import ConfigError
from distilwhy.records import Annotation, TeacherText
from distilwhy.students.controls import controlled
from distilwhy.students.mixing import mixed
from distilwhy.students.views import ViewOptions, make_rows

SOURCES = {"teacher": "It is in the", "human": "I say", "other": "Surely"}


@pytest.fixture(scope="module")
def many(tiny_annotations: list[Annotation]) -> list[Annotation]:
    """1,600 questions that the teacher and another explain, and people three of four."""
    made = []
    for number in range(1600):
        plain = tiny_annotations[number % 16]
        example = plain.example.model_copy(update={"id": f"m{number}"})

        def said(source: str, number: int = number, example: Any = example) -> Annotation:
            text = TeacherText(text=f"{SOURCES[source]} {number}.")
            revision = None if source == "human" else TeacherText(text=f"Again {text.text}")
            return Annotation(example=example, teacher=source, rationale=text, revision=revision)

        others = {"other": said("other")}
        if number % 4:
            others["human"] = said("human")
        made.append(said("teacher").model_copy(update={"others": others}))
    return made


def condition(shares: dict[str, float] | None, **fields: Any) -> Condition:
    return Condition.model_validate({"learn_from": shares, **fields})


def who(annotation: Annotation, data: str = "unrevised") -> str:
    text = annotation.explanation(data)  # type: ignore[arg-type]
    return "none" if text is None else annotation.teacher


def test_without_shares_it_is_the_teacher_s(many: list[Annotation]) -> None:
    mixture = mixed(many, condition(None), 0)
    assert mixture.counts_of(many) == {}
    assert [a.rationale for a in mixture.annotations] == [a.rationale for a in many]
    assert not any(a.others for a in mixture.annotations)
    again = mixed(many, condition({"teacher": 2}), 0)
    assert again.annotations == mixture.annotations
    assert again.counts_of(many) == {"teacher": 1600}


def test_each_example_has_one_drawn_by_shares(many: list[Annotation]) -> None:
    shares = condition({"teacher": 1, "human": 3})
    mixture = mixed(many, shares, 0)
    drawn = [who(a) for a in mixture.annotations]
    assert mixture.counts_of(many) == dict(Counter(drawn))
    assert mixture.counts_of(many[:300]) == dict(Counter(drawn[:300]))
    assert [a.example for a in mixture.annotations] == [a.example for a in many]
    # Who has no explanation by people has the teacher's; of the others a quarter has it.
    assert set(drawn[::4]) == {"teacher"}
    both = Counter(name for number, name in enumerate(drawn) if number % 4)
    assert both["teacher"] / 1200 == pytest.approx(0.25, abs=0.05)
    assert set(both) == {"teacher", "human"}
    assert mixed(many, shares, 0) == mixture
    assert mixed(many, shares, 1).sources != mixture.sources
    # An example's draw depends on no other.
    assert mixed(many[100:200], shares, 0).annotations == mixture.annotations[100:200]


def test_examples_that_no_source_explains_keep_their_answer(many: list[Annotation]) -> None:
    mixture = mixed(many[:8], condition({"human": 1}), 0)
    assert mixture.counts_of(many[:8]) == {"human": 6, "none": 2}
    rows = make_rows(mixture.annotations, ["predict", "explain"], ViewOptions())
    assert [len(group) for group in rows] == [1, 2, 2, 2, 1, 2, 2, 2]


def test_all_explanations_are_rows_of_one_example(many: list[Annotation]) -> None:
    mixture = mixed(many[:2], condition({"human": 1, "other": 1}, mixing="all"), 0)
    assert mixture.counts_of(many[:2]) == {"human": 1, "other": 2}
    rows = make_rows(mixture.annotations, ["predict", "explain"], ViewOptions())
    # The same question and answer stand once, each explanation in a row of its own.
    assert [[row.view for row in group] for group in rows] == [
        ["predict", "explain"],
        ["predict", "explain", "explain"],
    ]
    assert [row.target for row in rows[1][1:]] == ["I say 1.", "Surely 1."]


def test_people_s_rationales_stand_for_revisions(many: list[Annotation]) -> None:
    mixture = mixed(many[:4], condition({"human": 1, "other": 0}, data="revised"), 0)
    texts = [a.explanation("revised") for a in mixture.annotations]
    assert [t and t.text for t in texts] == [None, "I say 1.", "I say 2.", "I say 3."]
    both = mixed(many, condition({"human": 1, "other": 1}, data="revised"), 0)
    for annotation in both.annotations:
        text = annotation.explanation("revised")
        start = "I say" if annotation.teacher == "human" else "Again Surely"
        assert text is not None
        assert text.text.startswith(start)


def test_shuffled_texts_are_of_no_source_on_the_same_question(many: list[Annotation]) -> None:
    learnt = mixed(many[:20], condition({"human": 1, "other": 1}, mixing="all"), 0).annotations
    shuffled = controlled(learnt, "shuffled", 0)
    views = ["predict", "explain"]
    before, after = (make_rows(part, views, ViewOptions()) for part in (learnt, shuffled))
    for own, other in zip(before, after, strict=True):
        assert own[0] == other[0]
        assert len(own) == len(other)
        numbers = [{row.target.rsplit(" ", 1)[1] for row in group[1:]} for group in (own, other)]
        assert not numbers[0] & numbers[1]
    texts = [sorted(row.target for group in part for row in group) for part in (before, after)]
    assert texts[0] == texts[1]


def test_unknown_sources_and_shares(many: list[Annotation]) -> None:
    with pytest.raises(ConfigError, match="no source of explanations named 'people'") as caught:
        mixed(many, condition({"people": 1}), 0)
    assert "Known: teacher, other, human" in caught.value.remedy
    for shares in ({}, {"human": 0}, {"human": 1, "other": -1}, {"human": 1e308, "other": 1e308}):
        with pytest.raises(ValueError, match="shares must be from 0 to 1,000,000, and not all 0"):
            condition(shares)
    with pytest.raises(ValueError, match="mixing needs learn_from"):
        condition(None, mixing="all")


def test_names_in_tables() -> None:
    assert condition({"teacher": 1, "human": 1}).label == "multitask : unrevised from teacher+human"
    alls = condition({"human": 1}, mixing="all", control="empty")
    assert alls.label == "multitask : unrevised from human (all), control empty"
