"""Figures of what measures found: one a measure, and accuracy against explanations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distilwhy.report import formats
from distilwhy.report.data import Entry
from distilwhy.report.figures import (
    KIND_COLOURS,
    KIND_SHAPES,
    LETTER_WIDTH,
    altair_module,
    svg_of,
)

WIDTH = 560
NAMES = 240


@dataclass(frozen=True)
class MeasureFigure:
    """A figure of one measure.

    Args:
        measure: The measure.
        figure: The figure drawn.
        svg: The SVG.
    """

    measure: str
    figure: str
    svg: str


def measure_svg(entries: Sequence[Entry], measure: str, figure: str) -> str | None:
    """Draw one figure of a measure with its 95 % interval for each entry that has it.

    Args:
        entries: The entries.
        measure: The measure.
        figure: The name of its figure.

    Returns:
        The SVG; ``None`` where no entry has the figure.

    Raises:
        MissingExtraError: When altair or vl-convert is not installed.
    """
    rows = [row for entry in entries if (row := _row(entry, measure, figure))]
    if not rows:
        return None
    alt = altair_module()
    rows = [{**row, "rank": rank} for rank, row in enumerate(rows)]
    base = alt.Chart(alt.Data(values=rows))
    room = min(NAMES, LETTER_WIDTH * max(len(row["name"]) for row in rows))
    # As in the figure of accuracy, names are drawn from the data: they are untrusted.
    axis = alt.Axis(labels=False, minExtent=room, ticks=False, domain=False, grid=False, title=None)
    y = alt.Y("rank:O", axis=axis)
    colour, shape = _kinds()
    x_axis = alt.Axis(tickCount=5, title=None)
    low = alt.X("low:Q", axis=x_axis, scale=alt.Scale(zero=False))
    names = base.mark_text(align="right", limit=NAMES, color="currentColor")
    chart = alt.layer(
        base.mark_rule(strokeWidth=2.5, opacity=0.55).encode(x=low, x2="high:Q", y=y, color=colour),
        base.mark_point(filled=True, size=75, opacity=1).encode(
            x="value:Q", y=y, color=colour, shape=shape
        ),
        names.encode(x=alt.value(-8), y=y, text="name:N"),
    ).properties(width=WIDTH, height=28 * len(rows) + 28)
    spoken = "; ".join(f"{row['name']} {formats.decimal(row['value'], 3)}" for row in rows)
    return svg_of(chart, f"{measure}, {figure}, with 95 % interval: {spoken}.")


def plane_svg(entries: Sequence[Entry], measure: str, figure: str) -> str | None:
    """Draw accuracy against a figure of explanations, intervals both ways.

    Args:
        entries: The entries.
        measure: The measure.
        figure: The name of its figure.

    Returns:
        The SVG; ``None`` where fewer than two entries have the figure.

    Raises:
        MissingExtraError: When altair or vl-convert is not installed.
    """
    rows = [
        {
            **row,
            "accuracy": entry.metrics.accuracy,
            "acc_low": entry.metrics.ci_low,
            "acc_high": entry.metrics.ci_high,
        }
        for entry in entries
        if (row := _row(entry, measure, figure))
    ]
    if len(rows) < 2:
        return None
    alt = altair_module()
    base = alt.Chart(alt.Data(values=rows))
    colour, shape = _kinds()
    percent = alt.Axis(labelExpr="datum.value * 100 + ' %'", tickCount=5, title="accuracy")
    unzeroed = alt.Scale(zero=False, nice=True)
    x = alt.X("accuracy:Q", axis=percent, scale=unzeroed)
    y = alt.Y("value:Q", axis=alt.Axis(tickCount=5, title=measure), scale=unzeroed)
    chart = alt.layer(
        base.mark_rule(opacity=0.4).encode(
            x=alt.X("acc_low:Q", scale=unzeroed, axis=percent), x2="acc_high:Q", y=y, color=colour
        ),
        base.mark_rule(opacity=0.4).encode(
            x=x, y=alt.Y("low:Q", scale=unzeroed), y2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=x, y=y, color=colour, shape=shape
        ),
        base.mark_text(align="left", dx=9, dy=-9, color="currentColor").encode(
            x=x, y=y, text="name:N"
        ),
    ).properties(width=WIDTH, height=360)
    spoken = "; ".join(
        f"{row['name']} {formats.percent(row['accuracy'])}, {formats.decimal(row['value'], 3)}"
        for row in rows
    )
    return svg_of(chart, f"Accuracy against {measure}: {spoken}.")


def _row(entry: Entry, measure: str, name: str) -> dict[str, Any] | None:
    result = entry.measure(measure)
    figure = None if result is None else result.figures.get(name)
    if figure is None or figure.value is None:
        return None
    return {
        "name": entry.name,
        "kind": entry.kind,
        "value": figure.value,
        "low": figure.value if figure.ci_low is None else figure.ci_low,
        "high": figure.value if figure.ci_high is None else figure.ci_high,
    }


def _kinds() -> tuple[Any, Any]:
    """Return how kinds of entries are coloured and shaped."""
    alt = altair_module()
    kinds = list(KIND_COLOURS)
    colours = alt.Scale(domain=kinds, range=list(KIND_COLOURS.values()))
    shapes = alt.Scale(domain=kinds, range=list(KIND_SHAPES.values()))
    return (
        alt.Color("kind:N", scale=colours, legend=None),
        alt.Shape("kind:N", scale=shapes, legend=None),
    )
