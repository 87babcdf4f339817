"""Collapsed runs are named, and no mean takes them in without a word."""

from __future__ import annotations

from statistics import mean

import pytest

from distilwhy.report import Entry, ReportData
from distilwhy.report.findings import headline
from distilwhy.report.page import render
from distilwhy.report.seeds import collapsed_table, seeds_table


def with_seeds(data: ReportData, collapsed: int) -> ReportData:
    """Return a report of one condition with three seeds, of which some collapsed."""
    first = data.entries[0]
    entries: list[Entry] = []
    for seed, accuracy in enumerate((0.2, 0.6, 0.7)):
        reasons = ("80 of 80 answers are choice a",) if seed < collapsed else ()
        metrics = first.metrics.model_copy(update={"accuracy": accuracy, "collapsed": reasons})
        changes = {"name": f"run {seed}", "seed": seed, "metrics": metrics}
        entries.append(first.model_copy(update=changes))
    return data.model_copy(update={"entries": tuple(entries), "comparisons": ()})


def test_figures_stand_with_collapsed_runs_and_without(report_data: ReportData) -> None:
    table = seeds_table(with_seeds(report_data, 1))
    assert table is not None
    names = [(column.group, column.label) for column in table.columns]
    row = dict(zip(names, (cell.value for cell in table.rows[0]), strict=True))
    whole = next(value for (group, name), value in row.items() if name == "Mean" and not group)
    sound = next(value for (group, name), value in row.items() if name == "Mean" and group)
    assert whole == pytest.approx(mean((0.2, 0.6, 0.7)))
    assert sound == pytest.approx(mean((0.6, 0.7)))
    assert next(value for (_, name), value in row.items() if name == "Collapsed") == 1


def test_sound_runs_need_no_further_columns(report_data: ReportData) -> None:
    data = with_seeds(report_data, 0)
    table = seeds_table(data)
    assert table is not None
    assert "Collapsed" not in [column.label for column in table.columns]
    assert collapsed_table(data) is None
    assert "collapsed" not in headline(data).caution


def test_collapsed_runs_are_named_with_what_shows_it(report_data: ReportData) -> None:
    data = with_seeds(report_data, 2)
    words = headline(data)
    assert words.caution.startswith("2 of 3 runs collapsed: run 0 (80 of 80 answers are choice a)")
    assert "70.0" in words.lead
    assert "without the 2 that collapsed" in words.lead
    page = render(data)
    assert page.count("80 of 80 answers are choice a") >= 3
