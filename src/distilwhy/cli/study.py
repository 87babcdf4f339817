"""``distilwhy study``: people rate explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from distilwhy.cli.shared import Json, Seed, plain, show

FORMATS = {".json": "json", ".tex": "latex", ".txt": "text"}

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
    form: Annotated[
        Literal["text", "latex"], typer.Option("--format", help="How tables are printed.")
    ] = "text",
    least_effect: Annotated[
        float,
        typer.Option(min=0.01, max=4, help="Least difference of interest, in points of the scale."),
    ] = 0.25,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the results to this file: .json, .tex or .txt."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Analyse ratings of explanations: tests, intervals, regressions, agreement, the next study."""
    from distilwhy.errors import ConfigError
    from distilwhy.files import atomic_text, write_json
    from distilwhy.human_study.analyse import analyse as analyse_ratings
    from distilwhy.human_study.tables import render
    from distilwhy.outputs import check_output_file

    if out is not None:
        if out.suffix not in FORMATS:
            raise ConfigError(
                f"--out {out} has no ending that names a format.", f"Use {', '.join(FORMATS)}."
            )
        check_output_file(out, ratings)
    result = analyse_ratings(ratings, mode, seed=seed, least=least_effect)
    if out is not None and FORMATS[out.suffix] == "json":
        write_json(out, result.figures())
    elif out is not None:
        with atomic_text(out) as stream:
            stream.write(render(result, "latex" if out.suffix == ".tex" else "text") + "\n")
    text = "" if as_json else plain(render(result, form))
    show(result.figures() if as_json else {}, as_json, text)
