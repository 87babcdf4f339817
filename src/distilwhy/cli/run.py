"""``distilwhy run``: a whole experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.forecast import content, table
from distilwhy.cli.shared import Json, show


def run(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of all outputs; runs/x for x.yaml when unset.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what teacher and judge would be asked and what it costs."
        ),
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
    """Print what the teacher and the judge would be asked."""
    from distilwhy.config import load_experiment
    from distilwhy.pipeline.dry_run import forecast_run
    from distilwhy.pipeline.judge_forecast import forecast_judge

    told, judged = forecast_run(experiment, out), forecast_judge(experiment, out)
    settings = load_experiment(experiment)
    teacher, judge = settings.teacher, settings.explanations.judge
    result = {"examples": 0, "steps": {}} if told is None else content(told)
    parts = ["Dry run: no teacher is asked."]
    if told is not None and teacher is not None:
        parts = [table(told, teacher.budget)]
    if judged is not None and judge is not None:
        result["judge"] = content(judged)
        parts.append(f"The judge {judge.model}:\n{table(judged, judge.budget)}")
    show(result, as_json, "\n\n".join(parts))
