from __future__ import annotations

import pytest
from statsmodels.stats.multitest import multipletests

from distilwhy.report import Comparison, Entry, ReportData
from distilwhy.report.findings import headline, judge


def comparison(a: str = "a", b: str = "b", **changes: float) -> Comparison:
    values = {"difference": 0.2, "ci_low": 0.1, "ci_high": 0.3, "p": 0.001} | changes
    return Comparison(a=a, b=b, n=80, only_a_right=20, only_b_right=4, **values)


def with_accuracy(entry: Entry, low: float, accuracy: float, high: float) -> Entry:
    values = {"accuracy": accuracy, "ci_low": low, "ci_high": high}
    return entry.model_copy(update={"metrics": entry.metrics.model_copy(update=values)})


@pytest.fixture
def two_students(report_data: ReportData) -> ReportData:
    first = with_accuracy(report_data.entries[0], 0.5, 0.6, 0.7)
    second = with_accuracy(report_data.entries[1], 0.4, 0.5, 0.6)
    return report_data.model_copy(update={"entries": (second, first), "comparisons": ()})


def words(data: ReportData) -> str:
    said = headline(data)
    return (
        " ".join((said.lead, *said.against, said.caution))
        .replace("\u00a0", " ")
        .replace("\u2013", "-")
    )


@pytest.mark.parametrize(
    "p_values", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.5], [0.9, 0.0, 0.02, 0.02, 1.0], [0.2]]
)
def test_holm_correction_equals_statsmodels(p_values: list[float]) -> None:
    judged = judge([comparison(p=p) for p in p_values])
    expected = multipletests(p_values, method="holm")[1]
    assert [item.p_adjusted for item in judged] == pytest.approx(list(expected))


def test_difference_is_settled_only_when_p_and_interval_agree() -> None:
    assert judge([comparison()])[0].finding == "A better"
    turned = comparison(difference=-0.2, ci_low=-0.3, ci_high=-0.1)
    assert judge([turned])[0].finding == "B better"
    assert judge([comparison(p=0.06)])[0].finding == "not settled"
    assert judge([comparison(ci_low=-0.01)])[0].finding == "not settled"
    assert judge([comparison(p=0.03), comparison(p=0.03)])[0].finding == "not settled"


def test_headline_ranks_by_accuracy_not_by_order(two_students: ReportData) -> None:
    assert headline(two_students).lead.startswith(
        "The most accurate student, multitask : unrevised, answered 60.0"
    )


def test_overlapping_intervals_are_not_called_a_difference(two_students: ReportData) -> None:
    assert "overlaps that of the runner-up, multitask : revised" in words(two_students)
    assert "does not tell them apart" in words(two_students)


def test_disjoint_intervals_without_comparison(
    two_students: ReportData, report_data: ReportData
) -> None:
    baseline = with_accuracy(report_data.entries[-1], 0.1, 0.2, 0.3)
    teacher = with_accuracy(report_data.entries[-2], 0.8, 0.9, 0.95)
    entries = (*two_students.entries, baseline, teacher)
    said = words(two_students.model_copy(update={"entries": entries}))
    assert "lies above that of the majority baseline (20.0 %, 10.0-30.0 %)" in said
    assert "lies below that of the teacher, hf:teacher-7b (90.0 %, 80.0-95.0 %)" in said


def test_comparison_is_read_from_the_best_students_side(two_students: ReportData) -> None:
    item = comparison(
        "multitask : revised",
        "multitask : unrevised",
        difference=-0.1,
        ci_low=-0.18,
        ci_high=-0.02,
        p=0.01,
    )
    said = words(two_students.model_copy(update={"comparisons": (item,)}))
    assert "lies 10.0 points above the runner-up" in said
    assert "+2.0 to +18.0; McNemar p = 0.010, Holm-corrected" in said


def test_unsettled_comparison_is_said_to_be_unsettled(two_students: ReportData) -> None:
    item = comparison("multitask : unrevised", "multitask : revised", p=0.4, ci_low=-0.1)
    said = words(two_students.model_copy(update={"comparisons": (item,)}))
    assert "does not settle the difference of +20.0 points" in said
    assert "above" not in said


def test_the_best_is_named_in_the_caution(two_students: ReportData) -> None:
    assert "multitask : unrevised was picked as the best of 2 on the same" in words(two_students)


def test_students_that_tie_are_named_together(two_students: ReportData) -> None:
    second, first = two_students.entries
    same = with_accuracy(second, 0.5, 0.6, 0.7)
    third = with_accuracy(second, 0.1, 0.2, 0.3)
    third = third.model_copy(update={"name": "third", "condition": "third"})
    said = words(two_students.model_copy(update={"entries": (third, same, first)}))
    assert said.startswith(
        "2 students tie at 60.0 %: multitask : revised; multitask : unrevised. "
        "The first of them, multitask : revised, answered 60.0 %"
    )
    assert "the runner-up, third (20.0 %" in said
    assert "Those that tie were picked as the best of 3" in said
    # Where all tie, none was picked.
    said = words(two_students.model_copy(update={"entries": (same, first)}))
    assert "2 students tie" in said
    assert "picked" not in said
    assert "runner-up" not in said


def test_one_student_is_not_called_the_best(report_data: ReportData) -> None:
    said = headline(report_data.model_copy(update={"entries": report_data.entries[:1]}))
    assert said.lead.startswith("The student, multitask : unrevised, answered")
    assert said.against == ()
    assert said.caution == ""


def test_seeds_are_averaged_before_ranking(two_students: ReportData) -> None:
    second, first = two_students.entries
    lucky = with_accuracy(second, 0.7, 0.8, 0.9).model_copy(update={"name": "lucky", "seed": 1})
    unlucky = with_accuracy(second, 0.1, 0.2, 0.3)
    steady = first.model_copy(update={"name": "steady", "seed": 1})
    entries = (unlucky, lucky, first, steady)
    lead = headline(two_students.model_copy(update={"entries": entries})).lead
    assert "on average over 2 seeds, t5-v1_1-base, multitask : unrevised, answered 60.0" in lead
    assert "lucky" not in lead
