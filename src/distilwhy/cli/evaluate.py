"""``distilwhy evaluate``: figures of a predictions file, our own or another program's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distilwhy.cli.measure_options import (
    Explanations,
    Judge,
    MeasureLimit,
    MeasureNames,
    Probe,
    References,
    Scorer,
    StudentFolder,
    content,
    lines,
    measured,
)
from distilwhy.cli.shared import Json, Seed, set_options, show

if TYPE_CHECKING:
    from distilwhy.records import Prediction

TABLES = (".csv", ".tsv", ".parquet")


def evaluate(
    predictions: Annotated[Path, typer.Option(help="Predictions file, or a foreign table.")],
    answer_column: Annotated[
        str | None, typer.Option(help="Foreign table: column of the answers.")
    ] = None,
    gold_column: Annotated[
        str | None, typer.Option(help="Foreign table: column of the right answers.")
    ] = None,
    rationale_column: Annotated[
        str | None, typer.Option(help="Foreign table: column of the explanations.")
    ] = None,
    choices_column: Annotated[
        str | None, typer.Option(help="Foreign table: column of the choices.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another predictions file on the same questions (McNemar).")
    ] = None,
    measure: MeasureNames = None,
    explanations: Explanations = None,
    student: StudentFolder = None,
    scorer: Scorer = None,
    judge: Judge = None,
    references: References = None,
    limit: MeasureLimit = None,
    probe: Probe = None,
    out: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Summarise predictions: accuracy with interval, classes, explanation figures."""
    from distilwhy.errors import ConfigError
    from distilwhy.evaluation.foreign import evaluate_foreign, foreign_predictions
    from distilwhy.files import write_json
    from distilwhy.outputs import check_output_file
    from distilwhy.pipeline import stages

    records: Path | list[Prediction] = predictions
    extra = [answer_column, gold_column, rationale_column, choices_column]
    if answer_column is not None and gold_column is not None:
        if out is not None:
            check_output_file(out, predictions)
        columns = (answer_column, gold_column, rationale_column, choices_column)
        metrics = evaluate_foreign(predictions, *columns, seed=seed)
        if (measure or explanations) and None in (rationale_column, choices_column):
            raise ConfigError(
                "Measures of a foreign table's explanations need its choices as well.",
                "Give --rationale-column and --choices-column.",
            )
        records = foreign_predictions(predictions, *columns) if choices_column else []
        if out is not None:
            write_json(out, metrics.model_dump(mode="json"))
    elif any(name is not None for name in extra) or predictions.suffix.lower() in TABLES:
        raise ConfigError(
            "A foreign table needs both --answer-column and --gold-column.", "Give both."
        )
    else:
        metrics = stages.evaluate(predictions, out, seed=seed)
    text = (
        f"accuracy {metrics.accuracy:.1%} (95 % interval {metrics.ci_low:.1%} to "
        f"{metrics.ci_high:.1%}), n = {metrics.n}, {metrics.unparsed} unparsed"
    )
    if metrics.collapsed:
        text += f"\ncollapsed: {'; '.join(metrics.collapsed)}"
    result = metrics.model_dump(mode="json")
    if against is not None:
        paired = stages.compare(predictions, against, seed=seed)
        result["against"] = {"predictions": str(against), **paired.model_dump(mode="json")}
        text += (
            f"\nminus {against}: {100 * paired.difference:+.1f} points (95 % interval "
            f"{100 * paired.ci_low:+.1f} to {100 * paired.ci_high:+.1f}), "
            f"McNemar p = {paired.p:.3g}"
        )
    if measure or explanations:
        options = set_options(
            measures=tuple(measure) if measure else None,
            scorer=scorer,
            judge=None if judge is None else {"model": judge},
            references=None if references is None else str(references),
            limit=limit,
            probe=probe,
        )
        found = measured(records, out, explanations, options, student=student, seed=seed)
        result["explanations"] = {one.measure: content(one) for one in found}
        text = "\n".join([text, *(line for one in found for line in lines(one))])
    elif any(value is not None for value in (student, scorer, judge, references, limit, probe)):
        raise ConfigError(
            "Options of measures are given, but no measure.", "Name one with --measure."
        )
    show(result, as_json, text)
