"""Controls in the report: named as such, and never its best student."""

from __future__ import annotations

import pytest

from distilwhy.report import Entry, ReportData, tables
from distilwhy.report.findings import headline
from distilwhy.report.page import render
from distilwhy.report.training_tables import control_table


@pytest.fixture
def with_controls(report_data: ReportData) -> ReportData:
    """The report, its best student taken for a control, and the same asked by other tags."""
    best = max(report_data.of_kind("student"), key=lambda entry: entry.metrics.accuracy)
    told = {"kind": "control", "condition": "spoiled"}
    spoiled = best.model_copy(update={**told, "name": "spoiled", "control": "shuffled"})
    swapped = best.model_copy(
        update={**told, "name": "other tags", "condition": "tags", "control": "swapped_tags"}
    )
    return report_data.model_copy(
        update={"entries": (spoiled, swapped, *report_data.entries), "comparisons": ()}
    )


def test_controls_are_told_as_such(with_controls: ReportData) -> None:
    table = control_table(with_controls)
    assert table is not None
    assert [[cell.text for cell in row[:2]] for row in table.rows] == [
        ["spoiled", "learnt explanations of other questions"],
        ["other tags", "is asked for its answer by the tag of another view"],
    ]
    kinds = [row[1].text for row in tables.accuracy_table(with_controls).rows]
    assert kinds[:3] == ["control", "control", "student"]
    assert "What is spoiled" in render(with_controls)


def test_no_control_is_the_best_student(with_controls: ReportData, report_data: ReportData) -> None:
    assert headline(with_controls).lead == headline(report_data).lead


def test_there_is_no_table_without_controls(report_data: ReportData) -> None:
    assert control_table(report_data) is None
    assert all(isinstance(entry, Entry) for entry in report_data.entries)
