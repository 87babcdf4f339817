"""``distilwhy study``: people rate explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from distilwhy.cli.analyses import FormOption, ResultsFile, check_results_file, tell
from distilwhy.cli.shared import Json, Seed

study = typer.Typer(
    help="People rate explanations: what their ratings say.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@study.callback()
def _study() -> None:
    """People rate explanations: what their ratings say."""


@study.command("analyse")
def analyse(
    ratings: Annotated[Path, typer.Argument(help="Table of ratings, one row a rated explanation.")],
    mode: Annotated[
        Literal["paper", "robust", "both"],
        typer.Option(help="The paper's tests, those that keep participants apart, or both."),
    ] = "both",
    form: FormOption = "text",
    least_effect: Annotated[
        float,
        typer.Option(min=0.01, max=4, help="Least difference of interest, in points of the scale."),
    ] = 0.25,
    out: ResultsFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Analyse ratings of explanations: tests, intervals, regressions, agreement, the next study."""
    from distilwhy.human_study.analyse import analyse as analyse_ratings
    from distilwhy.human_study.tables import render

    check_results_file(out, ratings)
    result = analyse_ratings(ratings, mode, seed=seed, least=least_effect)
    tell(result, render, form=form, out=out, as_json=as_json)
