"""A table: cells as the page shows them, and the plain values behind them as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from urllib.parse import quote

from distilwhy.grids import Grid
from distilwhy.report import formats

Value = str | int | float | None

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of text that a spreadsheet would run as a formula."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        label: Its heading.
        group: A heading over several neighbouring columns; empty for none.
        numeric: Whether its cells are numbers, aligned to the right.
    """

    label: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What the page shows.
        value: What the CSV holds.
    """

    text: str
    value: Value


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is the row's heading.

    Args:
        key: Short name, used for the CSV's file name.
        caption: What the table shows.
        columns: Its columns.
        rows: Its rows, each with one cell a column.
        note: Explains columns that need it; may be empty.
    """

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings over columns with their spans; empty when no column has one."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and column.group and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans if any(label for label, _ in spans) else []

    @property
    def csv(self) -> str:
        """The table as CSV text: plain values, text guarded against being run as a formula."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(
            _guard(" ".join(part for part in (column.group, column.label) if part))
            for column in self.columns
        )
        writer.writerows([_guard(cell.value) for cell in row] for row in self.rows)
        return stream.getvalue()

    @property
    def csv_link(self) -> str:
        """The CSV as a ``data:`` link."""
        return f"data:text/csv;charset=utf-8,{quote(self.csv)}"

    @property
    def latex(self) -> str:
        """The table as a LaTeX table environment, as the page shows it."""
        return Grid(
            title=self.caption,
            head=tuple(
                ", ".join(part for part in (column.group, column.label) if part)
                for column in self.columns
            ),
            rows=tuple(tuple(cell.text for cell in row) for row in self.rows),
            left=next((p for p, c in enumerate(self.columns) if c.numeric), len(self.columns)),
            note=self.note,
        ).latex()

    @property
    def latex_link(self) -> str:
        """The LaTeX as a ``data:`` link."""
        return f"data:application/x-tex;charset=utf-8,{quote(self.latex)}"


def _guard(value: Value) -> Value:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def text_cell(value: str) -> Cell:
    """Show text as it is."""
    return Cell(value, value)


def count_cell(value: float | None) -> Cell:
    """Show a whole number."""
    return Cell(formats.count(value), value)


def decimal_cell(value: float | None, digits: int = 1) -> Cell:
    """Show a number with decimals."""
    return Cell(formats.decimal(value, digits), value)


def percent_cell(value: float | None) -> Cell:
    """Show a share in percent."""
    return Cell(formats.percent(value), value)


def interval_cell(low: float, high: float) -> Cell:
    """Show an interval of shares in percent."""
    return Cell(formats.interval(low, high), f"{low:.4f} to {high:.4f}")


def grid_table(key: str, grid: Grid) -> Table:
    """Return a table of texts as one of the report's.

    Args:
        key: Short name, used for the names of its files.
        grid: The table.
    """
    columns = tuple(
        Column(label, numeric=place >= grid.left) for place, label in enumerate(grid.head)
    )
    rows = tuple(tuple(text_cell(text) for text in row) for row in grid.rows)
    return Table(key, grid.title, columns, rows, grid.note)
