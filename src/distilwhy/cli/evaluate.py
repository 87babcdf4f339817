"""``distilwhy evaluate``: figures of a predictions file, our own or another program's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilwhy.cli.forecast import show_forecast
from distilwhy.cli.measure_options import (
    Explanations,
    Judge,
    JudgeChat,
    MeasureLimit,
    MeasureNames,
    Probe,
    Ratings,
    References,
    Scorer,
    StudentFolder,
    check_questions,
    content,
    judge_fields,
    lines,
    measure_settings,
    measured,
)
from distilwhy.cli.shared import Json, Seed, set_options, show

if TYPE_CHECKING:
    from distilwhy.evaluation.metrics import Metrics
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
    question_column: Annotated[
        str | None, typer.Option(help="Foreign table: column of the questions.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another predictions file on the same questions (McNemar).")
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(help="Training annotations: which test questions do they nearly repeat?"),
    ] = None,
    measure: MeasureNames = None,
    explanations: Explanations = None,
    student: StudentFolder = None,
    scorer: Scorer = None,
    judge: Judge = None,
    judge_chat: JudgeChat = None,
    references: References = None,
    ratings: Ratings = None,
    limit: MeasureLimit = None,
    probe: Probe = None,
    out: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the judge would be asked and its cost.")
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Summarise predictions: accuracy with interval, classes, explanation figures."""
    columns = (answer_column, gold_column, rationale_column, choices_column, question_column)
    options = set_options(
        scorer=scorer,
        judge=judge_fields(judge, judge_chat),
        references=None if references is None else str(references),
        ratings=None if ratings is None else str(ratings),
        limit=limit,
        probe=probe,
    )
    asked = bool(measure or explanations)
    _check(asked, bool(options or student or dry_run), columns)
    options |= {"measures": tuple(measure)} if measure else {}
    if dry_run:
        _dry_run(predictions, columns, out, explanations, options, seed, as_json)
        return
    records, result, text = _figures(predictions, columns, out, seed)
    if against is not None:
        text += f"\n{_against(predictions, against, seed, result)}"
    if training is not None:
        text += f"\n{_contamination(records, training, seed, result)}"
    if asked:
        found = measured(records, out, explanations, options, student=student, seed=seed)
        result["explanations"] = {one.measure: content(one) for one in found}
        text = "\n".join([text, *(line for one in found for line in lines(one))])
    show(result, as_json, text)


def _check(asked: bool, options: bool, columns: tuple[str | None, ...]) -> None:
    """Refuse options of measures without one, and measures of a table that lacks what they need."""
    from distilwhy.errors import ConfigError

    if options and not asked:
        raise ConfigError(
            "Options of measures are given, but no measure.", "Name one with --measure."
        )
    if asked and columns[0] and None in columns[2:4]:
        raise ConfigError(
            "Measures of a foreign table's explanations need its choices as well.",
            "Give --rationale-column and --choices-column.",
        )


def _dry_run(
    path: Path,
    columns: tuple[str | None, ...],
    out: Path | None,
    file: Path | None,
    options: dict[str, Any],
    seed: int,
    as_json: bool,
) -> None:
    """Print what the judge would be asked."""
    from distilwhy.evaluation.foreign import foreign_predictions
    from distilwhy.files import read_records
    from distilwhy.pipeline.judge_forecast import forecast_measure
    from distilwhy.pipeline.judging import verdicts_path
    from distilwhy.pipeline.measuring import measures_folder
    from distilwhy.records import Prediction

    settings = measure_settings(file, options, "evaluate")
    answer, gold, rationale, choices, question = columns
    if answer is not None and gold is not None:
        records = foreign_predictions(
            path, answer, gold, rationale, choices, question_column=question
        )
        check_questions(records, settings)
    else:
        records = read_records(path, Prediction)
    verdicts = None if out is None else verdicts_path(measures_folder(out))
    told = forecast_measure(records, settings, verdicts, seed)
    assert settings.judge is not None  # as the forecast has checked
    show_forecast(told, settings.judge.budget, as_json)


def _figures(
    path: Path, columns: tuple[str | None, ...], out: Path | None, seed: int
) -> tuple[Path | list[Prediction], dict[str, Any], str]:
    """Return the predictions, or their file, and their figures for machines and for people."""
    from distilwhy.errors import ConfigError
    from distilwhy.pipeline import stages

    records: Path | list[Prediction] = path
    if columns[0] is not None and columns[1] is not None:
        records, metrics = _foreign(path, columns, out, seed)
    elif any(name is not None for name in columns) or path.suffix.lower() in TABLES:
        raise ConfigError(
            "A foreign table needs both --answer-column and --gold-column.", "Give both."
        )
    else:
        metrics = stages.evaluate(path, out, seed=seed)
    text = (
        f"accuracy {metrics.accuracy:.1%} (95 % interval {metrics.ci_low:.1%} to "
        f"{metrics.ci_high:.1%}), n = {metrics.n}, {metrics.unparsed} unparsed"
    )
    if metrics.collapsed:
        text += f"\ncollapsed: {'; '.join(metrics.collapsed)}"
    return records, metrics.model_dump(mode="json"), text


def _foreign(
    path: Path, columns: tuple[str | None, ...], out: Path | None, seed: int
) -> tuple[list[Prediction], Metrics]:
    """Return a foreign table's predictions and their figures, which are written if wanted."""
    from distilwhy.evaluation.foreign import evaluate_table, foreign_predictions
    from distilwhy.files import write_json
    from distilwhy.outputs import check_output_file

    answer, gold, rationale, choices, question = columns
    assert answer is not None
    assert gold is not None
    if out is not None:
        check_output_file(out, path)
    records = foreign_predictions(path, answer, gold, rationale, choices, question_column=question)
    metrics = evaluate_table(records, choices is not None, seed=seed)
    if out is not None:
        write_json(out, metrics.model_dump(mode="json"))
    return records, metrics


def _against(path: Path, other: Path, seed: int, result: dict[str, Any]) -> str:
    """Add a paired comparison to the result, and return it as a line of text."""
    from distilwhy.pipeline import stages

    paired = stages.compare(path, other, seed=seed)
    result["against"] = {"predictions": str(other), **paired.model_dump(mode="json")}
    return (
        f"minus {other}: {100 * paired.difference:+.1f} points (95 % interval "
        f"{100 * paired.ci_low:+.1f} to {100 * paired.ci_high:+.1f}), McNemar p = {paired.p:.3g}"
    )


def _contamination(
    records: Path | list[Prediction], training: Path, seed: int, result: dict[str, Any]
) -> str:
    """Add what training repeats of the test to the result, and return it as a line of text."""
    from distilwhy.evaluation.contamination import contamination
    from distilwhy.files import read_records
    from distilwhy.records import Annotation, Prediction

    asked = read_records(records, Prediction) if isinstance(records, Path) else records
    examples = [annotation.example for annotation in read_records(training, Annotation)]
    found = contamination(asked, examples, seed=seed)
    result["contamination"] = found.model_dump(mode="json")
    text = f"{len(found.repeated)} of {len(asked)} test questions nearly repeat a training question"
    parts = (("on these", found.on_repeated), ("on the others", found.on_others))
    shares = [f"accuracy {which} {part.accuracy:.1%}" for which, part in parts if part]
    return f"{text}; {', '.join(shares)}"
