"""Small tables of text, as aligned lines or as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "\u00b1": r"$\pm$",
    "\u2212": "$-$",
}


@dataclass(frozen=True)
class Grid:
    """A table whose cells are text already.

    Args:
        title: What it shows.
        head: Headings of its columns.
        rows: Its rows, each with one cell a column.
        left: How many of the first columns are words, aligned to the left; the rest to the right.
        note: What a reader must know beside it; may be empty.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    note: str = ""

    def text(self) -> str:
        """Return the table as aligned lines below its title."""
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            "  ".join(
                cell.ljust(width) if place < self.left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "-" * max(map(len, aligned))
        parts = [self.title, rule, aligned[0], rule, *aligned[1:]]
        return "\n".join([*parts, self.note] if self.note else parts)

    def latex(self) -> str:
        """Return the table as a LaTeX table environment; its rules are those of booktabs."""
        columns = "l" * self.left + "r" * (len(self.head) - self.left)
        caption = ". ".join(part.rstrip(".") for part in (self.title, self.note) if part)
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)}.}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(self.head),
            r"\midrule",
            *map(_line, self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines)


def escape(text: str) -> str:
    """Return text with what LaTeX would take as a command escaped."""
    return "".join(LATEX.get(mark, mark) for mark in text)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"
