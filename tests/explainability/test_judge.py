"""The judge as a measure: known opinions come out, at the right size, with people beside."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import spearmanr

from distilwhy.config import CONSTRUCTS, JudgeSettings
from distilwhy.explainability.measures import MeasureResult, measure
from distilwhy.explainability.subject import Subject
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.judging.judge import Judge
from distilwhy.judging.kinship import family_warning
from distilwhy.judging.people import HumanRating
from distilwhy.records import Annotation, Example, Prediction, TeacherText


def explanation(prompt: str) -> str:
    found = re.search(r"<<< (.*?) >>>\n\nRating", prompt)
    assert found is not None
    return found[1]


def judged(
    write: Callable[[str], str], predictions: list[Prediction], **more: Any
) -> MeasureResult:
    return measure("judge", Subject(predictions, judge=ScriptedGenerator(write), **more))


def reasons(examples: list[Example]) -> list[Prediction]:
    """Explanations of 20 to 30 words; every second one says 'because'."""
    return [
        Prediction(
            example=example,
            answer=example.answer,
            rationale=f"{'because' if n % 2 else 'clearly'} {n}" + " word" * (18 + n // 2 % 11),
        )
        for n, example in enumerate(examples)
    ]


def test_students_that_give_reasons_are_told_from_those_that_give_none(
    examples: list[Example], copying: Any, leaking: Any
) -> None:
    def write(prompt: str) -> str:
        if "Quality: completeness" in prompt:
            return "5" if "what the question asks for" in explanation(prompt) else "1"
        return "4"

    whole = judged(write, copying.predict(examples))
    bare = judged(write, leaking.predict(examples))
    assert whole.figures["completeness"].value == 5.0
    assert bare.figures["completeness"].value == 1.0
    assert whole.figures["quality"].value == pytest.approx(4.2)
    assert bare.figures["quality"].value == pytest.approx(3.4)
    assert whole.figures["quality"].n == 100
    assert whole.details["verdicts"] == 1000
    assert whole.figures["unreadable"].value == 0


def test_opinions_have_the_right_size_and_interval(examples: list[Example]) -> None:
    found = judged(
        lambda prompt: "5" if "because" in explanation(prompt) else "2", reasons(examples)
    )
    figure = found.figures["plausibility"]
    assert figure.value == pytest.approx(3.5)
    assert figure.ci_low == pytest.approx(3.5 - 1.96 * 0.15, abs=0.02)
    assert figure.ci_high == pytest.approx(3.5 + 1.96 * 0.15, abs=0.02)
    adjusted = found.figures["plausibility_length_adjusted"]
    assert adjusted.ci_low is not None
    assert adjusted.ci_high is not None
    assert adjusted.ci_low < 3.5 < adjusted.ci_high


def test_a_judge_of_length_rates_both_alike_at_one_length(examples: list[Example]) -> None:
    def write(prompt: str) -> str:
        # 2 up to 20 words, 3 up to 23, 4 up to 26, ...
        return str(min(5, 2 + max(0, len(explanation(prompt).split()) - 18) // 3))

    short = [p for p in reasons(examples) if len(str(p.rationale).split()) <= 26]
    long = [p for p in reasons(examples) if len(str(p.rationale).split()) >= 22]
    low, high = judged(write, short), judged(write, long)
    raw = high.figures["quality"].value - low.figures["quality"].value  # type: ignore[operator]
    assert raw > 0.6
    adjusted = [r.figures["quality_length_adjusted"].value for r in (low, high)]
    assert adjusted[0] == pytest.approx(adjusted[1], abs=0.12)
    assert low.details["reference_words"] == 25


def test_the_teachers_length_is_the_reference(examples: list[Example]) -> None:
    references = {
        e.id: Annotation(example=e, teacher="t", rationale=TeacherText(text="word " * 22))
        for e in examples[:50]
    }
    found = judged(lambda prompt: "3", reasons(examples), references=references)
    assert found.details["reference_words"] == 22
    assert found.figures["quality_length_adjusted"].value == pytest.approx(3.0)


def test_unreadable_verdicts_are_told_and_flagged(examples: list[Example]) -> None:
    def write(prompt: str) -> str:
        return "who knows" if "because" in explanation(prompt) else "4"

    found = judged(write, reasons(examples))
    assert found.figures["unreadable"].value == pytest.approx(0.5)
    assert found.figures["quality"] == found.figures["plausibility"]
    assert (found.figures["quality"].value, found.figures["quality"].n) == (4.0, 50)
    assert found.details["unreadable"] == 500
    assert found.details["unreadable_text"] == "'who knows'"
    assert [item.flags for item in found.items[:2]] == [(), ("verdict unreadable",)]
    none = judged(lambda prompt: "!", reasons(examples[:3]))
    for name in ("quality", "quality_length_adjusted", "order_shift"):
        assert none.figures[name].value is None
        assert none.figures[name].reason == "no verdict could be read"


def test_people_stand_beside_the_judge(examples: list[Example]) -> None:
    rows = reasons(examples)
    ours = {str(p.rationale): 1 + n % 5 for n, p in enumerate(rows)}
    theirs = [min(5, max(1, 1 + n % 5 + (n % 3 - 1))) for n in range(100)]
    ratings = [
        HumanRating(explanation=str(p.rationale), values=dict.fromkeys(CONSTRUCTS, value))
        for p, value in zip(rows[:60], theirs, strict=False)
    ]
    found = judged(lambda prompt: str(ours[explanation(prompt)]), rows, ratings=ratings)
    rho = found.figures["satisfaction_spearman"]
    assert rho.n == found.details["rated_by_people"] == 60
    assert rho.value == pytest.approx(spearmanr([1 + n % 5 for n in range(60)], theirs[:60])[0])
    assert found.figures["quality_alpha"].value == pytest.approx(0.83, abs=0.05)
    equal = judged(lambda prompt: "3", rows, ratings=ratings)
    assert equal.figures["quality_spearman"].reason == "all of the judge's ratings are equal"
    assert "quality_spearman" not in judged(lambda prompt: "3", rows).figures


def test_constructs_and_samples_are_those_of_the_judge(examples: list[Example]) -> None:
    settings = JudgeSettings(model="scripted", constructs=("satisfaction",))
    judge = Judge(ScriptedGenerator(lambda prompt: "2"), settings)
    found = measure("judge", Subject(reasons(examples[:4]), judge=judge))
    assert "completeness" not in found.figures
    assert found.figures["quality"].value == 2.0
    assert found.details["verdicts"] == 8


def test_nothing_to_rate_is_said() -> None:
    empty = Prediction(example=Example(id="a", question="?", choices=("x", "y"), answer="x"))
    assert judged(lambda prompt: "3", [empty]).reason == (
        "It gives no explanation that could be rated."
    )


@pytest.mark.parametrize(
    ("judge", "base", "warning"),
    [
        ("openai:gpt-5", "hf:google/t5-v1_1-base", None),
        ("hf:Qwen/Qwen3-30B-A3B", "hf:Qwen/Qwen3-0.6B", r"same family \(Qwen\)"),
        ("hf:nobody/this", "hf:Qwen/Qwen3-0.6B", "family of the judge is not known"),
    ],
)
def test_a_judge_of_the_students_family_is_warned_of(
    judge: str, base: str, warning: str | None
) -> None:
    found = family_warning(judge, base)
    assert (found is None) == (warning is None)
    assert warning is None or re.search(warning, str(found))
    assert "Nothing tells" in str(family_warning(judge, None))


def test_the_warning_stands_among_the_details(examples: list[Example]) -> None:
    scripted = ScriptedGenerator(lambda prompt: "3", name="openai:qwen-max")
    found = measure(
        "judge", Subject(reasons(examples[:3]), base="hf:Qwen/Qwen3-0.6B", judge=scripted)
    )
    assert "same family (Qwen)" in str(found.details["warning"])
