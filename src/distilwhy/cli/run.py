"""``distilwhy run``: a whole experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.forecast import show_forecast
from distilwhy.cli.shared import Json, show


def run(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of all outputs; runs/NAME when unset.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what the teacher would be asked and its cost."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an experiment; what is done already is not done again."""
    from distilwhy.pipeline import experiment as pipeline

    if dry_run:
        _dry_run(experiment, out, as_json)
        return
    report = pipeline.run(experiment, out)
    show({"report": str(report)}, as_json, f"Report: {report}")


def _dry_run(experiment: Path, out: Path | None, as_json: bool) -> None:
    """Print what the teacher would be asked."""
    from distilwhy.config import load_experiment
    from distilwhy.pipeline.dry_run import forecast_run

    told, teacher = forecast_run(experiment, out), load_experiment(experiment).teacher
    if told is None or teacher is None:
        show({"examples": 0, "steps": {}}, as_json, "Dry run: no teacher is asked.")
    else:
        show_forecast(told, teacher.budget, as_json)
