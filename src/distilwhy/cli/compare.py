"""``distilwhy compare``: which differences between conditions are more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from distilwhy.cli.analyses import FormOption, ResultsFile, check_results_file, tell
from distilwhy.cli.shared import Json, Seed


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tables of runs, metrics.json files, folders of experiments."),
    ],
    mode: Annotated[
        Literal["robust", "paper", "both"],
        typer.Option(help="Permutation tests and bootstrap, the paper's ANOVA and Tukey, or both."),
    ] = "robust",
    form: FormOption = "text",
    latex: Annotated[bool, typer.Option("--latex", help="The same as --format latex.")] = False,
    unit: Annotated[
        Literal["auto", "share", "percent"],
        typer.Option(help="How tables write accuracies; auto refuses what it cannot tell."),
    ] = "auto",
    other_conditions: Annotated[
        bool,
        typer.Option(
            "--other-conditions", help="Keep conditions of tables that the paper does not have."
        ),
    ] = False,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Compare this condition, and others so named, only (repeatable)."),
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="Robust mode: take runs of one seed as independent."),
    ] = False,
    out: ResultsFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare conditions across runs: tests, intervals, effect sizes, conclusions in words."""
    from distilwhy.comparison.compare import compare as compare_runs
    from distilwhy.comparison.tables import render

    check_results_file(out, *files)
    result = compare_runs(
        files,
        mode,
        unit=unit,
        other_conditions=other_conditions,
        conditions=condition or (),
        unpaired=unpaired,
        seed=seed,
    )
    tell(result, render, form="latex" if latex else form, out=out, as_json=as_json)
