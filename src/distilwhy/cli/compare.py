"""``distilwhy compare``: which differences between conditions are more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from distilwhy.cli.shared import Json, Seed, plain, show

FORMATS = {".json": "json", ".tex": "latex", ".txt": "text"}


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tables of runs, metrics.json files, folders of experiments."),
    ],
    mode: Annotated[
        Literal["robust", "paper", "both"],
        typer.Option(help="Permutation tests and bootstrap, the paper's ANOVA and Tukey, or both."),
    ] = "robust",
    form: Annotated[
        Literal["text", "latex"], typer.Option("--format", help="How tables are printed.")
    ] = "text",
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
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the results to this file: .json, .tex or .txt."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare conditions across runs: tests, intervals, effect sizes, conclusions in words."""
    from distilwhy.comparison.compare import compare as compare_runs
    from distilwhy.comparison.tables import render
    from distilwhy.errors import ConfigError
    from distilwhy.files import atomic_text, write_json
    from distilwhy.outputs import check_output_file

    if out is not None:
        if out.suffix not in FORMATS:
            raise ConfigError(
                f"--out {out} has no ending that names a format.", f"Use {', '.join(FORMATS)}."
            )
        check_output_file(out, *files)
    result = compare_runs(
        files,
        mode,
        unit=unit,
        other_conditions=other_conditions,
        conditions=condition or (),
        unpaired=unpaired,
        seed=seed,
    )
    if out is not None and FORMATS[out.suffix] == "json":
        write_json(out, result.figures())
    elif out is not None:
        with atomic_text(out) as stream:
            stream.write(render(result, "latex" if out.suffix == ".tex" else "text") + "\n")
    text = "" if as_json else plain(render(result, "latex" if latex else form))
    show(result.figures() if as_json else {}, as_json, text)
