"""``distilwhy run``: a whole experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import Json, show


def run(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of all outputs; runs/NAME when unset.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an experiment; what is done already is not done again."""
    from distilwhy.pipeline import experiment as pipeline

    report = pipeline.run(experiment, out)
    show({"report": str(report)}, as_json, f"Report: {report}")
