"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from distilwhy.comparison.tables import robust_grids
from distilwhy.files import atomic_text
from distilwhy.judging.tables import pair_grid, remarks, strength_grid
from distilwhy.records import LETTERS
from distilwhy.report import formats, tables
from distilwhy.report.browser import browser_content, json_block
from distilwhy.report.data import ReportData
from distilwhy.report.figures import (
    HELD_OUT,
    KIND_COLOURS,
    TRAIN,
    accuracy_svg,
    training_svg,
    view_series,
)
from distilwhy.report.findings import headline
from distilwhy.report.measure_figures import MeasureFigure, measure_svg, plane_svg
from distilwhy.report.measure_tables import headlines, leaderboard, measure_table
from distilwhy.report.seeds import collapsed_table, seeds_table
from distilwhy.report.table import grid_table
from distilwhy.report.training_tables import control_table, source_table

STATIC_ITEMS = 3
"""Questions of the explanation browser that also stand in the HTML, for readers without scripts."""

CURVES_OPEN = 12
"""Training curves shown at once; further ones are folded away."""


def render(data: ReportData) -> str:
    """Return the report as one HTML page that loads nothing from anywhere.

    Args:
        data: All that the report shows; its texts are untrusted and appear as text only.

    Raises:
        MissingExtraError: When the packages of the extra ``report`` are not installed.
    """
    environment = Environment(
        loader=PackageLoader("distilwhy.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=formats.count, duration=formats.duration, percent=formats.percent
    )
    script = _asset("report.js")
    return environment.get_template("page.html").render(
        data=data,
        headline=headline(data),
        policy=_policy(script),
        style=Markup(_asset("report.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        letters=LETTERS,
        **_figures(data),
        **_tables(data),
        **_over_seeds(data),
        **_preferences(data),
        **_measures(data),
        **_browser(data),
    )


def write_report(data: ReportData, path: Path) -> None:
    """Write the report; the file appears only when it is whole.

    Args:
        data: All that the report shows.
        path: The HTML file to write.

    Raises:
        DataError: When the file cannot be written.
        MissingExtraError: When the packages of the extra ``report`` are not installed.
    """
    page = render(data)
    with atomic_text(path) as stream:
        stream.write(page)


def _asset(name: str) -> str:
    return (files("distilwhy.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _policy(script: str) -> str:
    """Return a content security policy that lets nothing run or load but the page's own parts."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _figures(data: ReportData) -> dict[str, Any]:
    views = view_series(data.entries)
    drawn = [(entry, training_svg(entry, views)) for entry in data.entries]
    # SVG from vl-convert, which escapes the names that it shows.
    curves = [(entry, Markup(svg)) for entry, svg in drawn if svg]  # noqa: S704
    kinds = {entry.kind for entry in data.entries}
    return {
        "accuracy_wide": Markup(accuracy_svg(data.entries, 760, 260)),  # noqa: S704
        "accuracy_narrow": Markup(accuracy_svg(data.entries, 330, 0)),  # noqa: S704
        "kinds": [kind for kind in KIND_COLOURS if kind in kinds],
        "series": [TRAIN, HELD_OUT, *views],
        "curves": curves[:CURVES_OPEN],
        "more_curves": curves[CURVES_OPEN:],
    }


def _tables(data: ReportData) -> dict[str, Any]:
    return {
        "accuracy_tables": tables.shown(
            [
                tables.accuracy_table(data),
                control_table(data),
                source_table(data),
                seeds_table(data),
                collapsed_table(data),
            ]
        ),
        "leaderboard": leaderboard(data),
        "cost_table": tables.cost_table(data),
        "comparison_table": tables.comparison_table(data),
        "class_table": tables.class_table(data),
        "teacher_tables": tables.shown(
            [tables.gate_table(data), tables.outcome_table(data), tables.token_table(data)]
        ),
        "run_tables": tables.shown(
            [
                tables.stage_table(data),
                tables.facts_table("machine", "Machine", data.machine.items()),
                tables.facts_table("versions", "Versions", data.versions.items()),
            ]
        ),
    }


def _over_seeds(data: ReportData) -> dict[str, Any]:
    """Return what several seeds tell of the conditions: tables and conclusions."""
    found = data.over_seeds
    grids = [] if found is None else list(robust_grids(found))
    return {
        "seed_tables": [grid_table(f"over-seeds-{n}", grid) for n, grid in enumerate(grids, 1)],
        "conclusions": [] if found is None else [item.text for item in found.conclusions],
    }


def _preferences(data: ReportData) -> dict[str, Any]:
    """Return what a judge prefers: tables, and what a reader must know beside them."""
    found = data.preferences
    grids = [] if found is None else [strength_grid(found), pair_grid(found)]
    return {
        "preference_tables": [grid_table(f"preferences-{n}", g) for n, g in enumerate(grids, 1)],
        "remarks": [] if found is None else list(remarks(found)),
    }


def _measures(data: ReportData) -> dict[str, Any]:
    """Return the tables and figures of what measures found."""
    items = []
    plane = None
    for name, figure in headlines(data).items():
        svg = measure_svg(data.entries, name, figure)
        drawn = [MeasureFigure(name, figure, Markup(svg))] if svg else []  # noqa: S704
        items.append({"table": measure_table(data, name), "figures": drawn})
        across = (
            plane_svg(data.entries, name, figure) if plane is None and name != "surface" else None
        )
        if across:
            plane = MeasureFigure(name, figure, Markup(across))  # noqa: S704
    return {"measures": items, "plane": plane}


def _browser(data: ReportData) -> dict[str, Any]:
    content = browser_content(data.entries)
    return {
        "browser": content,
        "browser_json": json_block(content),
        "static_items": content["questions"][:STATIC_ITEMS],
    }
