"""``distilwhy judge``: a language model compares predictors' explanations in pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilwhy.cli.forecast import show_forecast
from distilwhy.cli.measure_options import (
    Explanations,
    Judge,
    JudgeChat,
    judge_fields,
    measure_settings,
)
from distilwhy.cli.shared import Json, Seed, plain, set_options, show

if TYPE_CHECKING:
    from distilwhy.judging.preference import Preferences
    from distilwhy.records import Prediction


def judge(
    predictions: Annotated[
        list[Path], typer.Option(help="Predictions file; give two or more, of the same questions.")
    ],
    judge: Judge = None,
    judge_chat: JudgeChat = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name of a predictions file in tables, in the files' order."),
    ] = None,
    explanations: Explanations = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Compare on so many questions, drawn by seed.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the results to this file (JSON); verdicts lie beside it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the judge would be asked and its cost.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print tables as LaTeX.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Have a model compare explanations in pairs, in both orders; strengths with intervals."""
    from distilwhy.errors import ConfigError
    from distilwhy.judging.tables import render
    from distilwhy.outputs import check_output_file
    from distilwhy.pipeline.judge_forecast import forecast_pairs
    from distilwhy.pipeline.judging import base_of, prefer_all, verdicts_beside

    options = set_options(judge=judge_fields(judge, judge_chat), limit=limit)
    settings = measure_settings(explanations, options, "judge")
    if settings.judge is None:
        raise ConfigError("No judge is named.", "Name one with --judge MODEL.")
    files = dict(zip(names_of(predictions, name or ()), predictions, strict=True))
    rows = _read(files)
    verdicts = None if out is None else verdicts_beside(out)
    which: dict[str, Any] = {"limit": settings.limit, "seed": seed, "verdicts": verdicts}
    if dry_run:
        told = forecast_pairs(rows, settings.judge, **which)
        show_forecast(told, settings.judge.budget, as_json)
        return
    if out is not None:
        check_output_file(out, *predictions)
    # In an experiment's folder, the student lies beside its predictions.
    bases = {name: base_of(path.with_name("student")) for name, path in files.items()}
    found: Preferences = prefer_all(rows, out, settings.judge, bases=bases, **which)
    text = "" if as_json else plain(render(found, "latex" if latex else "text"))
    show(found, as_json, text)


def names_of(files: Sequence[Path], given: Sequence[str]) -> list[str]:
    """Return the predictors' names: those given, else the files', as far as these differ.

    Args:
        files: Their predictions files.
        given: Names in the files' order; none to take the files'.

    Raises:
        ConfigError: When there are not as many names as files, or two are the same.
    """
    from distilwhy.errors import ConfigError

    if given and len(given) != len(files):
        raise ConfigError(
            f"{len(files)} predictions files have {len(given)} names.",
            "Give --name once for each, or not at all.",
        )
    stems = [path.stem for path in files]
    names = list(given) or (stems if len(set(stems)) == len(stems) else [str(p) for p in files])
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"Two predictors are named {twice[0]!r}.", "Give each its own.")
    return names


def _read(files: Mapping[str, Path]) -> dict[str, list[Prediction]]:
    """Return the predictions of each file, whose examples are told apart by their ids."""
    from distilwhy.evaluation.accuracy import check_answered
    from distilwhy.files import read_records
    from distilwhy.records import Prediction

    found = {}
    for name, path in files.items():
        found[name] = read_records(path, Prediction)
        check_answered(found[name], str(path))
    return found
