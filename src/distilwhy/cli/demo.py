"""``distilwhy demo``: the whole pipeline, offline, small, real."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import Json, show

INTRODUCTION = """\
The whole pipeline, offline and real, on {train} training and {test} test questions:
  1. The teacher, {model}, writes rationales, critiques, revisions and
     counterfactual rationales in few-shot prompts.
  2. Two students (the same model, fine-tuned) learn from them: multitask on unrevised data,
     multitask+counterfactual on revised data.
  3. Students, teacher and trivial baselines answer the test questions; a report shows all.
It takes about five minutes on two cores and 4 GB of memory. Started again, it goes on where it
stopped. With a few dozen examples the students learn the form, not the task: see docs/results.md
for real runs.
"""


def demo(
    out: Annotated[Path, typer.Option(help="Folder of all outputs.")] = Path("runs/demo"),
    show_report: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the report in a browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the whole pipeline on the shipped mini task with the embedded model."""
    from importlib.resources import as_file, files

    from distilwhy.config import load_experiment
    from distilwhy.models.names import label
    from distilwhy.pipeline import experiment as pipeline
    from distilwhy.progress import say

    with as_file(files("distilwhy.pipeline") / "demo.yaml") as path:
        settings = load_experiment(path)
    assert settings.teacher is not None
    say(
        INTRODUCTION.format(
            train=settings.limits.train,
            test=settings.limits.test,
            model=label(settings.teacher.model),
        )
    )
    report = pipeline.run(settings, out)
    if show_report:
        webbrowser.open(report.resolve().as_uri())
    show({"report": str(report)}, as_json, f"Report: {report}")
