"""Tables of what measures found of the explanations."""

from __future__ import annotations

from collections.abc import Iterator

from distilwhy.explainability import MeasureResult
from distilwhy.report import formats
from distilwhy.report.data import Entry, ReportData
from distilwhy.report.table import Cell, Column, Table, count_cell, text_cell

NAME = Column("Predictor", numeric=False)

HEADLINES = {
    "judge": "quality",
    "simulatability": "las",
    "consistency": "hidden",
    "following": "followed",
    "perturbation": "area_over_curve",
    "robustness": "answer_stays",
    "overlap": "chrf",
    "calibration": "ece",
    "surface": "words",
}
"""The figure of a measure that stands for it in the leaderboard; other measures' first one does.
Measures stand in this order, those of what explanations do before those of how they look."""


def leaderboard(data: ReportData) -> Table | None:
    """Return accuracy, one figure a measure, size and cost in one table, intervals beside figures.

    Entries are ordered by accuracy. ``None`` where nothing was measured.
    """
    measured = headlines(data)
    if not measured:
        return None
    columns = [NAME, Column("value", "Accuracy"), Column("95 % interval", "Accuracy")]
    for name, figure in measured.items():
        group = f"{name}: {figure}"
        columns += [Column("value", group), Column("95 % interval", group), Column("n", group)]
    columns += [Column("Parameters"), Column("Training time")]
    entries = sorted(data.entries, key=lambda entry: -entry.metrics.accuracy)
    rows = tuple(_leaderboard_row(entry, measured) for entry in entries)
    note = (
        "One figure stands for each measure; its page says what it shows and what it does not, and "
        "the tables below hold the others. n/a: the measure says nothing of such a predictor. "
        "Order by accuracy is no order by explanation."
    )
    caption = "Accuracy, explanations, size and cost"
    return Table("leaderboard", caption, tuple(columns), rows, note)


def headlines(data: ReportData) -> dict[str, str]:
    """Return the measures made, in the order of the report, and the figure that stands for each.

    The name is empty where a measure has no figure.
    """
    found: dict[str, str] = {}
    for result in (result for entry in data.entries for result in entry.measures):
        if result.measure not in found or not found[result.measure]:
            names = list(result.figures)
            wanted = HEADLINES.get(result.measure)
            found[result.measure] = wanted if wanted in names else next(iter(names), "")
    order = list(HEADLINES)
    return dict(
        sorted(found.items(), key=lambda x: order.index(x[0]) if x[0] in order else len(order))
    )


def _leaderboard_row(entry: Entry, measured: dict[str, str]) -> tuple[Cell, ...]:
    metrics = entry.metrics
    training, prediction = metrics.training, metrics.prediction
    size = training.parameters if training else prediction.parameters if prediction else None
    seconds = training.seconds if training else None
    row = [
        text_cell(entry.name),
        Cell(formats.percent(metrics.accuracy), metrics.accuracy),
        Cell(
            formats.interval(metrics.ci_low, metrics.ci_high),
            f"{metrics.ci_low:.4f} to {metrics.ci_high:.4f}",
        ),
    ]
    for name, figure in measured.items():
        result = entry.measure(name)
        row += list(_figure_cells(result, figure))
    row += [Cell(formats.parameters(size), size), Cell(formats.duration(seconds), seconds)]
    return tuple(row)


def measure_table(data: ReportData, measure: str) -> Table:
    """Return all figures of a measure for every entry, or why there are none."""
    found = [(entry, result) for entry in data.entries if (result := entry.measure(measure))]
    names = list(dict.fromkeys(name for _, result in found for name in result.figures))
    columns = [NAME]
    for name in names:
        group = name.replace("_", " ")
        columns += [Column("value", group), Column("95 % interval", group), Column("n", group)]
    rows = []
    notes = []
    for entry, result in found:
        rows.append(
            (text_cell(entry.name), *(c for name in names for c in _figure_cells(result, name)))
        )
        notes += list(_notes(entry, result))
    note = " ".join(dict.fromkeys(notes))
    return Table(f"measure-{measure}", f"Measure: {measure}", tuple(columns), tuple(rows), note)


def _notes(entry: Entry, result: MeasureResult) -> Iterator[str]:
    """Yield why figures are missing, and what the measure itself warns of."""
    if result.reason is not None:
        yield f"{entry.name}: not applicable, {result.reason}."
    if warning := result.details.get("warning"):
        yield f"{entry.name}: {warning}"
    for name, figure in result.figures.items():
        if figure.value is None:
            yield f"{entry.name}, {name}: {figure.reason}."


def _figure_cells(result: MeasureResult | None, name: str) -> tuple[Cell, Cell, Cell]:
    """Return value, interval and number of items of one figure."""
    figure = None if result is None else result.figures.get(name)
    if result is None or figure is None:
        text = formats.MISSING if result is None else "n/a"
        return Cell(text, None), Cell(formats.MISSING, None), Cell(formats.MISSING, None)
    if figure.value is None:
        return Cell("n/a", None), Cell(formats.MISSING, None), count_cell(figure.n)
    interval = Cell(formats.MISSING, None)
    if figure.ci_low is not None and figure.ci_high is not None:
        low, high = figure.ci_low, figure.ci_high
        interval = Cell(f"{_number(low)} to {_number(high)}", f"{low:.4f} to {high:.4f}")
    return Cell(_number(figure.value), figure.value), interval, count_cell(figure.n)


def _number(value: float) -> str:
    return formats.decimal(value, 1 if abs(value) >= 10 else 3)
