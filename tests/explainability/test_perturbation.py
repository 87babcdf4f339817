"""Perturbed rationales: answer-change rates and the area over the curve of truncation."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from distilwhy.explainability.measures import ItemScores, MeasureResult, measure
from distilwhy.explainability.perturbation import CUTS, SHARES, Perturbation, area_over_curve
from distilwhy.explainability.perturbing import filler, first_words
from distilwhy.explainability.subject import Subject
from distilwhy.inference.student import TrainedStudent
from distilwhy.records import Annotation, Example, Prediction

CHANGES = (*CUTS, "half_replaced", "mistake", "filler")
MOST = 0.875


def judged(student: Any, examples: list[Example], **more: Any) -> MeasureResult:
    return measure("perturbation", Subject(student.predict(examples), student=student, **more))


def test_the_area_is_that_of_the_papers_weighting() -> None:
    """Per length of the chain, weighted by the share of items of that length (Lanham et al.)."""
    rng = np.random.default_rng(5)
    lengths = rng.integers(3, 9, size=200)
    changed = rng.random((200, len(SHARES))) < 0.5
    items = [
        ItemScores(
            example_id=str(place),
            scores={"area_over_curve": area_over_curve([not value for value in row])},
        )
        for place, row in enumerate(changed)
    ]
    groups = defaultdict(list)
    for length, row in zip(lengths, changed, strict=True):
        groups[length].append(row)
    wanted = 0.0
    for rows in groups.values():
        curve = [*(1 - np.mean(rows, axis=0)), 1.0]
        wanted += len(rows) / 200 * (1 - np.trapezoid(curve, [*SHARES, 1.0]))
    figure = Perturbation().summarise(items, 0)["area_over_curve"]
    assert figure.value == pytest.approx(wanted, abs=1e-12)
    assert figure.n == 200
    areas = [item.scores["area_over_curve"] for item in items]
    half = 1.96 * float(np.std(areas)) / math.sqrt(200)  # type: ignore[arg-type]
    assert figure.ci_low == pytest.approx(wanted - half, abs=0.01)


def test_a_student_that_copies_is_moved(copying: Any, examples: list[Example]) -> None:
    result = judged(copying, examples)
    for name in (*CUTS, "mistake", "filler"):
        assert result.figures[name].value == 1.0
        assert result.figures[name].n == 100
    # Its answer survives where the words of 'answer is X' do: about one time in ten.
    assert 0.8 < (result.figures["half_replaced"].value or 0) < 1.0
    assert result.figures["area_over_curve"].value == pytest.approx(MOST)
    assert result.details["mistakes_by_exchange"] == 100
    assert all(not item.flags for item in result.items)


def test_one_that_ignores_its_rationale_is_not(ignoring: Any, examples: list[Example]) -> None:
    result = judged(ignoring, examples)
    for name in (*CHANGES, "area_over_curve"):
        assert result.figures[name].value == 0.0
        assert result.figures[name].n == 100
    assert all(item.flags == ("unfaithful",) for item in result.items)


def test_one_that_guesses_changes_by_chance(guessing: Any, examples: list[Example]) -> None:
    result = judged(guessing, examples)
    for name in ("half_replaced", "mistake"):
        assert result.figures[name].value == pytest.approx(0.75, abs=0.13)
    assert result.figures["area_over_curve"].value == pytest.approx(0.75 * MOST, abs=0.1)
    # Its rationale names no answer, so the mistake is a denial.
    assert result.details["mistakes_by_negation"] == 100
    assert result.details["mistakes_by_exchange"] == 0


def test_a_pass_of_its_own_has_no_figure_without_the_probe(
    leaking: Any, examples: list[Example]
) -> None:
    result = judged(leaking, examples)
    assert "pass of its own" in (result.reason or "")
    assert not result.figures
    assert judged(leaking, examples, probe=True).figures["filler"].value == 0.0


def test_degenerate_input_gives_a_sentence(copying: Any, examples: list[Example]) -> None:
    figures = measure("perturbation", Subject([], student=copying)).figures
    assert all(figure.value is None and figure.reason for figure in figures.values())
    silent = Prediction(example=examples[0], answer="cat", rationale="Hm.")
    result = measure("perturbation", Subject([silent], student=copying))
    assert result.details["no_own_answer"] == 1
    assert result.figures["area_over_curve"].reason == "no item to judge"


@pytest.mark.parametrize("who", ["untaught", "taught"])
def test_a_real_student(
    who: str, request: pytest.FixtureRequest, tiny_annotations: list[Annotation]
) -> None:
    student: TrainedStudent = request.getfixturevalue(who)
    predictions = [
        Prediction(example=a.example, rationale=f"Thing is in the {a.example.answer}.")
        for a in tiny_annotations
    ]
    result = measure("perturbation", Subject(predictions, student=student, probe=True))
    assert result.details["probe"] is (who == "taught")
    for item, prediction in zip(result.items, predictions, strict=True):
        example, text = prediction.example, str(prediction.rationale)

        texts = [text, filler(text), *(first_words(text, share) for share in SHARES)]
        found = student.choice_likelihoods([example] * len(texts), texts)
        read = [max(zip(line, example.choices, strict=True))[1] for line in found]
        changed = [answer != read[0] for answer in read[1:]]
        assert [item.scores[name] for name in ("filler", *CUTS)] == changed
    assert all(figure.n == 16 for figure in result.figures.values())
