"""The report's figures as inline SVG, coloured by the page's style so that they suit the dark."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from distilwhy.errors import MissingExtraError
from distilwhy.report import formats
from distilwhy.report.data import Entry

KIND_COLOURS = {
    "student": "var(--series-1)",
    "control": "var(--series-3)",
    "teacher": "var(--series-2)",
    "baseline": "var(--soft)",
}
KIND_SHAPES = {
    "student": "circle",
    "control": "triangle-up",
    "teacher": "diamond",
    "baseline": "square",
}
VIEW_ORDER = ("predict", "explain", "factual", "counterfactual")
LETTER_WIDTH = 7.6
"""Pixels that a letter takes in a wide font; the font measured with is narrower than some."""

DASHES = ((5, 2), (2, 2), (7, 2, 2, 2), (1, 3))


@dataclass(frozen=True)
class Series:
    """How one curve is drawn.

    Args:
        label: Its name in the legend.
        colour: A CSS colour.
        dash: Dash lengths in pixels; empty for a full line.
    """

    label: str
    colour: str
    dash: tuple[int, ...] = ()


TRAIN = Series("training loss", "var(--soft)")
HELD_OUT = Series("held-out loss", "var(--series-1)")


def accuracy_svg(entries: Sequence[Entry], width: int, names_beside: int) -> str:
    """Draw each entry's accuracy with its 95 % interval, best first.

    Args:
        entries: The entries.
        width: Width of the figure in pixels.
        names_beside: Room for names left of the plot in pixels; 0 writes them above the marks.

    Raises:
        MissingExtraError: When altair or vl-convert is not installed.
    """
    alt = altair_module()
    ranked = sorted(entries, key=lambda entry: -entry.metrics.accuracy)
    rows = [{"rank": rank, **_accuracy_row(entry)} for rank, entry in enumerate(ranked)]
    base = alt.Chart(alt.Data(values=rows))
    # Names are drawn as text from the data, not as axis labels: ordering an axis by name would
    # put the names, which are untrusted, into an expression.
    room = min(names_beside, LETTER_WIDTH * max(len(row["name"]) for row in rows))
    axis = alt.Axis(labels=False, minExtent=room, ticks=False, domain=False, grid=False, title=None)
    y = alt.Y("rank:O", axis=axis)
    if names_beside:
        names = base.mark_text(align="right", limit=names_beside, color="currentColor")
        names = names.encode(x=alt.value(-8), y=y, text="name:N")
    else:
        names = base.mark_text(align="left", dy=-14, limit=width - 20, color="currentColor")
        names = names.encode(x=alt.value(2), y=y, text="name:N")
    layers = [*_baseline_layers(entries), *_interval_layers(base, y), names]
    height = len(rows) * (28 if names_beside else 42)
    chart = alt.layer(*layers).properties(width=width, height=height + 28)
    spoken = "; ".join(
        f"{row['name']} {row['label']} ({formats.interval(row['low'], row['high'])})"
        for row in rows
    )
    return svg_of(chart, f"Accuracy with 95 % interval, best first: {spoken}.")


def _interval_layers(base: Any, y: Any) -> list[Any]:
    """Draw intervals, points and figures."""
    alt = altair_module()
    axis = alt.Axis(labelExpr="datum.value * 100 + ' %'", tickCount=5, title=None)
    low = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    kinds = list(KIND_COLOURS)
    colours = alt.Scale(domain=kinds, range=list(KIND_COLOURS.values()))
    shapes = alt.Scale(domain=kinds, range=list(KIND_SHAPES.values()))
    colour = alt.Color("kind:N", scale=colours, legend=None)
    shape = alt.Shape("kind:N", scale=shapes, legend=None)
    # The figure stands beside its interval, on the side with more room, so that none is cut.
    right = base.transform_filter("datum.high <= 0.85")
    left = base.transform_filter("datum.high > 0.85")
    return [
        base.mark_rule(strokeWidth=2.5, opacity=0.55).encode(x=low, x2="high:Q", y=y, color=colour),
        base.mark_point(filled=True, size=75, opacity=1).encode(
            x="accuracy:Q", y=y, color=colour, shape=shape
        ),
        right.mark_text(align="left", dx=7, color="currentColor").encode(
            x="high:Q", y=y, text="label:N"
        ),
        left.mark_text(align="right", dx=-7, color="currentColor").encode(
            x="low:Q", y=y, text="label:N"
        ),
    ]


def _baseline_layers(entries: Sequence[Entry]) -> list[Any]:
    """Draw a line at the best baseline's accuracy, when there is one."""
    alt = altair_module()
    accuracies = [entry.metrics.accuracy for entry in entries if entry.kind == "baseline"]
    if not accuracies:
        return []
    line = alt.Chart(alt.Data(values=[{"accuracy": max(accuracies)}]))
    dashed = line.mark_rule(strokeDash=[4, 3], color="currentColor", opacity=0.5)
    return [dashed.encode(x="accuracy:Q")]


def _accuracy_row(entry: Entry) -> dict[str, Any]:
    metrics = entry.metrics
    return {
        "name": entry.name,
        "kind": entry.kind,
        "accuracy": metrics.accuracy,
        "low": metrics.ci_low,
        "high": metrics.ci_high,
        "label": formats.percent(metrics.accuracy),
    }


def view_series(entries: Sequence[Entry]) -> list[Series]:
    """Return how each view's held-out curve is drawn, the same in all figures of a report."""
    found = dict.fromkeys(
        view
        for entry in entries
        if entry.metrics.training
        for point in entry.metrics.training.curve
        for view in point.held_out_views
    )
    known = [view for view in VIEW_ORDER if view in found]
    views = known + [view for view in found if view not in known]
    return [
        Series(view, f"var(--series-{2 + index % 4})", DASHES[index % len(DASHES)])
        for index, view in enumerate(views)
    ]


def training_svg(entry: Entry, views: Sequence[Series]) -> str | None:
    """Draw an entry's training curve: its loss, its held-out loss, and that of each view.

    Args:
        entry: The entry.
        views: How views are drawn, from :func:`view_series`.

    Returns:
        The SVG, or ``None`` when there is no curve.

    Raises:
        MissingExtraError: When altair or vl-convert is not installed.
    """
    training = entry.metrics.training
    values = _curve_values(entry)
    if training is None or not values:
        return None
    alt = altair_module()
    series = [TRAIN, HELD_OUT, *views]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("step:Q", axis=alt.Axis(tickCount=4, title="step"), scale=alt.Scale(nice=False)),
        y=alt.Y("loss:Q", axis=alt.Axis(tickCount=4, title=None), scale=alt.Scale(zero=True)),
        color=alt.Color(
            "series:N",
            scale=alt.Scale(
                domain=[item.label for item in series], range=[item.colour for item in series]
            ),
            legend=None,
        ),
    )
    # The training curve has many points and no marks, the held-out ones few points with marks.
    dash = alt.StrokeDash(
        "series:N",
        scale=alt.Scale(
            domain=[item.label for item in series],
            range=[list(item.dash) or [1, 0] for item in series],
        ),
        legend=None,
    )
    held_out = base.transform_filter("datum.held_out")
    best = alt.Chart(alt.Data(values=[{"step": training.best_step}]))
    chart = alt.layer(
        best.mark_rule(color="currentColor", opacity=0.45, strokeDash=[1, 2]).encode(x="step:Q"),
        base.mark_line(strokeWidth=1.6).encode(strokeDash=dash),
        held_out.mark_point(filled=True, size=22, opacity=1),
    ).properties(width=310, height=190)
    return svg_of(chart, _curve_words(entry, training.best_step))


def _curve_values(entry: Entry) -> list[dict[str, Any]]:
    training = entry.metrics.training
    values: list[dict[str, Any]] = []
    for point in training.curve if training else ():
        losses = {TRAIN.label: point.loss, HELD_OUT.label: point.held_out_loss}
        losses |= point.held_out_views
        values += [
            {
                "step": point.step,
                "series": name,
                "loss": loss,
                "held_out": name != TRAIN.label,
            }
            for name, loss in losses.items()
            if loss is not None and math.isfinite(loss)
        ]
    return values


def _curve_words(entry: Entry, best_step: int) -> str:
    """Say in words what the curve shows, for those who cannot see it."""
    held_out = [
        (point.step, point.held_out_loss)
        for point in (entry.metrics.training.curve if entry.metrics.training else ())
        if point.held_out_loss is not None
    ]
    words = f"Training curve of {entry.name}; checkpoint kept at step {best_step}"
    if held_out:
        (first, start), (last, end) = held_out[0], held_out[-1]
        words += (
            f"; held-out loss {formats.decimal(start, 2)} at step {first}, "
            f"{formats.decimal(end, 2)} at step {last}"
        )
    return f"{words}."


def altair_module() -> Any:
    """Return altair.

    Raises:
        MissingExtraError: When it or vl-convert is not installed.
    """
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("The report", "report") from error
    return altair


def svg_of(chart: Any, label: str) -> str:
    """Turn a chart into an SVG element that takes its colours from the page.

    Args:
        chart: The altair chart.
        label: What the figure shows, in words.
    """
    import vl_convert

    chart = chart.configure(
        aria=False,
        background="transparent",
        font="system-ui, sans-serif",
        padding=2,
        autosize={"type": "fit", "contains": "padding"},
    )
    chart = chart.configure_view(stroke=None).configure_text(fontSize=12)
    chart = chart.configure_axis(
        labelColor="currentColor",
        titleColor="currentColor",
        titleFontWeight="normal",
        labelFontSize=12,
        titleFontSize=12,
        gridColor="currentColor",
        gridOpacity=0.14,
        domainColor="currentColor",
        domainOpacity=0.4,
        tickColor="currentColor",
        tickOpacity=0.4,
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    opening = re.search(r"<svg[^>]*>", svg)
    size = re.search(r'viewBox="([^"]+)"', svg)
    if opening is None or size is None:
        raise ValueError("vl-convert returned no SVG element")
    width = size.group(1).split()[2]
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="{size.group(1)}" '
        f'style="max-width:{width}px">{svg[opening.end() :]}'
    )
