"""``distilwhy evaluate``: figures of a predictions file, our own or another program's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import Json, Seed, show

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
    out: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Summarise predictions: accuracy with interval, classes, explanation figures."""
    from distilwhy.errors import ConfigError
    from distilwhy.evaluation.foreign import evaluate_foreign
    from distilwhy.files import write_json
    from distilwhy.outputs import check_output_file
    from distilwhy.pipeline import stages

    extra = [answer_column, gold_column, rationale_column, choices_column]
    if answer_column is not None and gold_column is not None:
        if out is not None:
            check_output_file(out, predictions)
        metrics = evaluate_foreign(
            predictions, answer_column, gold_column, rationale_column, choices_column, seed=seed
        )
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
    show(result, as_json, text)
