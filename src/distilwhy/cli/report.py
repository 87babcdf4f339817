"""``distilwhy report``: the report of an experiment that has run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import Json, show


def report(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder that it ran in; runs/x for x.yaml when unset.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of an experiment whose cells are done."""
    from distilwhy.pipeline import experiment as pipeline

    path = pipeline.report(experiment, out)
    show({"report": str(path)}, as_json, f"Report: {path}")
