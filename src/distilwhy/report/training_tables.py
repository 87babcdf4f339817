"""Tables on what students learnt from: controls, and whose explanations."""

from __future__ import annotations

from distilwhy.report.data import ReportData
from distilwhy.report.table import Column, Table, count_cell, interval_cell, percent_cell, text_cell

CONTROLS = {
    "shuffled": "learnt explanations of other questions",
    "empty": "learnt explanations without a word",
    "function_words": "learnt explanations without their content words",
    "swapped_tags": "is asked for its answer by the tag of another view",
}


def control_table(data: ReportData) -> Table | None:
    """Return what was spoiled in each control; ``None`` where there is none."""
    rows = tuple(
        (
            text_cell(entry.name),
            text_cell(CONTROLS[entry.control]),
            percent_cell(entry.metrics.accuracy),
            interval_cell(entry.metrics.ci_low, entry.metrics.ci_high),
        )
        for entry in data.entries
        if entry.control is not None
    )
    if not rows:
        return None
    columns = (
        Column("Control", numeric=False),
        Column("What is spoiled", numeric=False),
        Column("Accuracy"),
        Column("95 % interval"),
    )
    note = (
        "A control is a student that is spoiled on purpose and otherwise trained as the others. "
        "Where explanations of other questions, or none, bring the same accuracy, it is not the "
        "reasons that a student gains by. The paired comparisons tell whether there is a "
        "difference."
    )
    return Table("controls", "Controls", columns, rows, note)


def source_table(data: ReportData) -> Table | None:
    """Return whose explanations students learnt; ``None`` where no student mixed sources."""
    found = [
        (entry.name, entry.metrics.training.sources)
        for entry in data.entries
        if entry.metrics.training and entry.metrics.training.sources
    ]
    if not found:
        return None
    names = list(dict.fromkeys(name for _, sources in found for name in sources))
    rows = tuple(
        (text_cell(entry), *(count_cell(sources.get(name, 0)) for name in names))
        for entry, sources in found
    )
    columns = (Column("Predictor", numeric=False), *(Column(name, "Examples") for name in names))
    note = (
        "How many of the examples trained on have an explanation of each source; none: of no "
        "source that the student learnt from."
    )
    return Table("sources", "Whose explanations students learnt", columns, rows, note)
