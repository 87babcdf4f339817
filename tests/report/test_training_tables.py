"""Controls in the report: named as such, and never its best student."""

from __future__ import annotations

import pytest

from distilwhy.report import Entry, ReportData, tables
from distilwhy.report.findings import headline
from distilwhy.report.page import render
from distilwhy.report.seeds import seeds_table
from distilwhy.report.training_tables import control_table, source_table


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


def test_controls_have_seeds_too(with_controls: ReportData) -> None:
    spoiled = with_controls.entries[0]
    again = spoiled.model_copy(update={"name": "spoiled again", "seed": 7})
    data = with_controls.model_copy(update={"entries": (*with_controls.entries, again)})
    table = seeds_table(data)
    assert table is not None
    (row,) = [row for row in table.rows if row[0].text == "spoiled"]
    assert row[2].text == "2"


def test_sources_are_counted(report_data: ReportData) -> None:
    assert source_table(report_data) is None
    first = report_data.entries[0]
    training = first.metrics.training
    assert training is not None
    told = training.model_copy(update={"sources": {"human": 3, "none": 1}})
    metrics = first.metrics.model_copy(update={"training": told})
    entries = (first.model_copy(update={"metrics": metrics}), *report_data.entries[1:])
    table = source_table(report_data.model_copy(update={"entries": entries}))
    assert table is not None
    assert [column.label for column in table.columns] == ["Predictor", "human", "none"]
    assert [[cell.text for cell in row] for row in table.rows] == [[first.name, "3", "1"]]


def test_there_is_no_table_without_controls(report_data: ReportData) -> None:
    assert control_table(report_data) is None
    assert all(isinstance(entry, Entry) for entry in report_data.entries)
