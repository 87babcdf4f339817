"""Tables over training seeds, and of the runs that collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from distilwhy.report.data import Entry, ReportData
from distilwhy.report.findings import collapsed_entries, student_groups
from distilwhy.report.table import (
    Cell,
    Column,
    Table,
    count_cell,
    decimal_cell,
    percent_cell,
    text_cell,
)

WITHOUT = "Without collapsed runs"


def seeds_table(data: ReportData) -> Table | None:
    """Return accuracy over seeds for each student and condition, when any has several.

    Where runs collapsed, the figures stand there with them and without.
    """
    groups = student_groups(data, controls=True)
    if all(len(group) == 1 for group in groups):
        return None
    columns = [
        Column("Condition", numeric=False),
        Column("Student", numeric=False),
        Column("Seeds"),
        Column("Mean"),
        Column("SD (points)"),
        Column("Lowest"),
        Column("Highest"),
    ]
    collapsed = any(collapsed_entries(group) for group in groups)
    if collapsed:
        columns += [
            Column("Collapsed"),
            Column("Mean", WITHOUT),
            Column("SD (points)", WITHOUT),
        ]
    rows = []
    for group in groups:
        row = [
            text_cell(group[0].condition or group[0].name),
            text_cell(group[0].student or ""),
            count_cell(len(group)),
            *_mean_and_sd(group),
            percent_cell(min(entry.metrics.accuracy for entry in group)),
            percent_cell(max(entry.metrics.accuracy for entry in group)),
        ]
        if collapsed:
            sound = [entry for entry in group if not entry.metrics.collapsed]
            row += [count_cell(len(group) - len(sound)), *_mean_and_sd(sound)]
        rows.append(tuple(row))
    return Table("seeds", "Accuracy over training seeds", tuple(columns), tuple(rows))


def _mean_and_sd(entries: Sequence[Entry]) -> tuple[Cell, Cell]:
    values = [entry.metrics.accuracy for entry in entries]
    return (
        percent_cell(mean(values) if values else None),
        decimal_cell(100 * stdev(values) if len(values) > 1 else None),
    )


def collapsed_table(data: ReportData) -> Table | None:
    """Return which students collapsed and what shows it; ``None`` where none did."""
    rows = tuple(
        (text_cell(entry.name), percent_cell(entry.metrics.accuracy), text_cell(reason))
        for entry in collapsed_entries(data.entries)
        for reason in entry.metrics.collapsed
    )
    if not rows:
        return None
    columns = (
        Column("Student", numeric=False),
        Column("Accuracy"),
        Column("What shows it", numeric=False),
    )
    note = (
        "A collapsed run brought no student worth the name. Means over seeds are given with such "
        "runs and without. Another seed, a lower learning rate or more steps may help."
    )
    return Table("collapsed", "Collapsed runs", columns, rows, note)
