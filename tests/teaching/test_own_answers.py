"""The teacher's own answers: rejection sampling, self-consistency, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from distilwhy.config import TeachingSettings
from distilwhy.errors import DataError
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example
from distilwhy.teaching.annotate import AnnotationResult, annotate
from distilwhy.teaching.samples import sample_decodings
from distilwhy.teaching.steps import Asking, answer_prompt

CHOICES = ("sand", "rain", "fire")
EXAMPLES = [
    Example(id=f"q{number}", question=f"What is thing {number}?", choices=CHOICES, answer="rain")
    for number in range(4)
]
BASE = TeachingSettings(
    shots=1, steps=("rationale",), rationales_from="own_answer", temperature=0.5, samples=3
)
SEEDS = [decoding.seed for decoding in sample_decodings(answer_prompt(
    EXAMPLES[0], Asking(load_prompts("multiple_choice"), BASE, 0)
).decoding, BASE, 0)]  # fmt: skip

# By question: what the teacher answers in its three samples. Right are 2, 1, 0 and 1 of them.
ANSWERS = {
    "thing 0": ("rain. It is so, it is so, it is so, it is so.", "rain. It falls.", "fire. Hot."),
    "thing 1": ("sand. It is dry.", "sand. It is fine.", "rain. It is wet."),
    "thing 2": ("fire. Hot.", "sand. Dry.", "sand. Fine."),
    "thing 3": ("rain.", "I do not know.", "fire. Hot."),
}


def teacher(answers: Mapping[str, Sequence[str]] = ANSWERS) -> ScriptedGenerator:
    """Return a teacher with these answers; told the answer, it writes 'Told X.'"""

    def write(prompt: str, seed: int) -> str:
        last = prompt.rsplit("\n\n", 1)[-1]
        if not last.endswith("The answer is"):
            return f" Told {last.rsplit(' ', 1)[-1]}"
        (thing,) = (thing for thing in answers if f"{thing}?" in last)
        return f" {answers[thing][SEEDS.index(seed)]}\n"

    return ScriptedGenerator(lambda prompt: write(prompt, SEEDS[0]), sample=write)


def run(
    path: Path,
    generator: ScriptedGenerator | None = None,
    examples: Sequence[Example] = EXAMPLES,
    **changes: object,
) -> AnnotationResult:
    settings = TeachingSettings.model_validate(BASE.model_dump() | changes)
    return annotate(examples, generator or teacher(), settings, seed=0, store_path=path / "t.jsonl")


def rationales(result: AnnotationResult) -> list[str | None]:
    return [a.rationale and a.rationale.text for a in result.annotations]


def test_only_rationales_that_lead_to_the_answer_are_kept(tmp_path: Path) -> None:
    result = run(tmp_path)
    # q0: the first right one loops, so the second is chosen; q3: the right one gives no reason.
    assert rationales(result) == ["It falls.", "It is wet.", None, None]
    assert all(annotation.labelled_by == "gold" for annotation in result.annotations)
    own = result.outcome.own_rationales
    assert own
    assert own.model_dump() == {"samples": 12, "leading": 3, "questions": 4, "kept": 2}
    answers = result.outcome.own_answers
    assert answers
    # The majorities are rain, sand, sand, and rain (named first, with one vote as fire has).
    assert answers.model_dump() == {
        "questions": 4,
        "answered": 4,
        "gold_known": 4,
        "agree_with_gold": 2,
    }
    assert {step: cost.asked for step, cost in result.cost.steps.items()} == {"answer": 12}


def test_rejected_questions_may_be_asked_again_with_the_answer(tmp_path: Path) -> None:
    result = run(tmp_path, rejected="label")
    assert rationales(result) == ["It falls.", "It is wet.", "Told rain.", "Told rain."]
    cost = result.cost.steps["rationale"]
    assert (cost.texts, cost.asked, cost.skipped) == (12, 6, 6)
    assert result.outcome.own_rationales
    assert result.outcome.own_rationales.kept == 2


def test_agreement_keeps_rationales_of_the_majority_only(tmp_path: Path) -> None:
    # Once in three, q1 was right: its answers agree on sand, so that was luck.
    assert rationales(run(tmp_path, selection="agreement")) == ["It falls.", None, None, None]


def test_questions_without_a_rationale_are_not_criticised(tmp_path: Path) -> None:
    steps = ("rationale", "critique", "revision", "counterfactual")
    result = run(tmp_path, steps=steps)
    assert [a.critique is None for a in result.annotations] == [False, False, True, True]
    assert [len(a.counterfactuals) for a in result.annotations] == [2, 2, 2, 2]
    assert result.cost.steps["critique"].skipped == result.cost.steps["revision"].skipped == 6


def test_teacher_may_give_the_labels(tmp_path: Path) -> None:
    result = run(tmp_path, labels="teacher", rationales_from="label")
    assert [a.example.answer for a in result.annotations] == ["rain", "sand", "sand", "rain"]
    assert rationales(result) == ["Told rain.", "Told sand.", "Told sand.", "Told rain."]
    assert all(annotation.labelled_by == "teacher" for annotation in result.annotations)
    assert result.outcome.own_answers
    assert result.outcome.own_answers.agree_with_gold == 2
    assert result.outcome.own_rationales is None


def test_labels_and_rationales_can_both_be_its_own(tmp_path: Path) -> None:
    result = run(tmp_path, labels="teacher")
    assert rationales(result) == ["It falls.", "It is dry.", "Dry.", None]
    assert result.cost.steps["answer"].asked == 12


def test_wrong_choices_are_wrong_by_the_label(tmp_path: Path) -> None:
    result = run(tmp_path, labels="teacher", rationales_from="label", steps=("counterfactual",))
    assert [sorted(a.counterfactuals) for a in result.annotations] == [
        ["fire", "sand"],
        ["fire", "rain"],
        ["fire", "rain"],
        ["fire", "sand"],
    ]


@pytest.mark.parametrize("answer", [None, "fire"])
def test_gold_changes_nothing_but_the_agreement(tmp_path: Path, answer: str | None) -> None:
    steps = ("rationale", "critique", "revision", "counterfactual")
    known, other = teacher(), teacher()
    first = run(tmp_path / "a", known, labels="teacher", steps=steps)
    changed = [example.model_copy(update={"answer": answer}) for example in EXAMPLES]
    second = run(tmp_path / "b", other, changed, labels="teacher", steps=steps)
    assert sorted(other.calls) == sorted(known.calls)
    assert second.annotations == first.annotations
    assert second.outcome.own_answers
    expected = (0, 0) if answer is None else (4, 0)
    answers = second.outcome.own_answers
    assert (answers.gold_known, answers.agree_with_gold) == expected


def test_questions_without_a_readable_answer_are_left_out(tmp_path: Path) -> None:
    answers = ANSWERS | {"thing 2": ("Hm.", "Well.", "It depends.")}
    seen: list[tuple[int, int]] = []
    settings = TeachingSettings.model_validate(BASE.model_dump() | {"labels": "teacher"})
    result = annotate(
        EXAMPLES,
        teacher(answers),
        settings.model_copy(update={"rationales_from": "label"}),
        seed=0,
        store_path=tmp_path / "t.jsonl",
        progress=lambda done, total, *_: seen.append((done, total)),
    )
    assert [a.example.id for a in result.annotations] == ["q0", "q1", "q3"]
    assert [example.id for example in result.unlabelled] == ["q2"]
    assert result.outcome.own_answers
    assert (result.outcome.own_answers.questions, result.outcome.own_answers.answered) == (4, 3)
    assert seen[-1] == (24, 24)


def test_a_teacher_that_never_answers_is_one_sentence(tmp_path: Path) -> None:
    mute = ScriptedGenerator(lambda prompt: "Hm.")
    with pytest.raises(DataError, match="scripted answered none of 4 questions readably"):
        run(tmp_path, mute, labels="teacher")


def test_a_greedy_teacher_labels_too(tmp_path: Path) -> None:
    result = run(tmp_path, labels="teacher", samples=1, temperature=0)
    assert [a.example.answer for a in result.annotations] == ["rain", "sand", "fire", "rain"]
