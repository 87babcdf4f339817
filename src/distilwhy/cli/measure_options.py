"""Measuring explanations from the command line: the options, and what is printed of a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilwhy.cli.shared import set_options, settings_of, yaml_fields

if TYPE_CHECKING:
    from distilwhy.config import MeasureSettings
    from distilwhy.explainability import Figure, MeasureResult
    from distilwhy.records import Prediction

MeasureNames = Annotated[
    list[str] | None,
    typer.Option("--measure", help="Judge the explanations by this measure; may be repeated."),
]
Explanations = Annotated[
    Path | None,
    typer.Option(help="YAML file with the fields of 'explanations', which options change."),
]
StudentFolder = Annotated[
    Path | None, typer.Option(help="The student's folder, for measures that ask it again.")
]
Scorer = Annotated[
    str | None, typer.Option(help="Local model, for measures that need likelihoods.")
]
Judge = Annotated[
    str | None, typer.Option(help="Model, for measures that have explanations rated.")
]
JudgeChat = Annotated[
    bool | None,
    typer.Option("--judge-chat", help="Ask the judge in its chat format, as most servers want."),
]
References = Annotated[
    Path | None, typer.Option(help="Annotations of the same questions, by the teacher.")
]
Ratings = Annotated[
    Path | None, typer.Option(help="Table of people's ratings of the same explanations.")
]
MeasureLimit = Annotated[
    int | None, typer.Option(min=1, help="Measure so many explanations at most, drawn by seed.")
]
Probe = Annotated[
    bool | None,
    typer.Option(
        "--probe", help="Ask for answers behind a rationale, also where they are a pass apart."
    ),
]


def measured(
    predictions: Path | Sequence[Prediction],
    out: Path | None,
    file: Path | None,
    options: dict[str, Any],
    *,
    student: Path | None,
    seed: int,
) -> list[MeasureResult]:
    """Judge explanations as the command line asks.

    Args:
        predictions: The predictions file, or predictions.
        out: Where the figures are written, if anywhere; results go to a folder beside it.
        file: YAML file with the fields of ``explanations``.
        options: The fields that options set.
        student: The student's folder.
        seed: Seed of all draws.
    """
    from distilwhy.pipeline.measuring import measure_all, measures_folder

    settings = measure_settings(file, options, "evaluate")
    folder = None if out is None else measures_folder(out)
    if not isinstance(predictions, Path):
        check_questions(predictions, settings)
    return measure_all(predictions, folder, settings, student=student, seed=seed)


def check_questions(predictions: Sequence[Prediction], settings: MeasureSettings) -> None:
    """Refuse measures that look at questions, for a table that holds none.

    Raises:
        ConfigError: Naming the first such measure.
    """
    from distilwhy.errors import ConfigError
    from distilwhy.evaluation.foreign import QUESTION
    from distilwhy.explainability import reads_question

    if all(prediction.example.question != QUESTION for prediction in predictions):
        return
    for name in settings.measures:
        if reads_question(name):
            raise ConfigError(
                f"The measure {name!r} looks at the questions, which the table lacks.",
                "Name their column with --question-column.",
            )


def judge_fields(model: str | None, chat: bool | None) -> dict[str, Any] | None:
    """Return the judge's fields that options set; ``None`` where they set none."""
    return set_options(model=model, chat=chat) or None


def measure_settings(file: Path | None, options: dict[str, Any], command: str) -> MeasureSettings:
    """Return the settings that a file and the options beside it make.

    Args:
        file: YAML file with the fields of ``explanations``.
        options: The fields that options set; of a judge, those beside the file's others.
        command: The command's name.
    """
    from distilwhy.config import MeasureSettings

    given = yaml_fields(MeasureSettings, file)
    fields = {**given, **options}
    if "judge" in options:
        fields["judge"] = {**(given.get("judge") or {}), **options["judge"]}
    return settings_of(MeasureSettings, fields, command)


def content(result: MeasureResult) -> dict[str, Any]:
    """Return a result as ``--json`` prints it: all but the scores of each item."""
    return {**result.model_dump(mode="json", exclude={"items"}), "n_items": len(result.items)}


def lines(result: MeasureResult) -> Iterator[str]:
    """Yield a result as lines of text."""
    if result.reason is not None:
        yield f"{result.measure}: not applicable, {result.reason}"
        return
    yield f"{result.measure}:"
    for name, figure in result.figures.items():
        yield f"  {name} {_figure(figure)}"
    for name, detail in result.details.items():
        yield f"  {name}: {detail}"


def _figure(figure: Figure) -> str:
    if figure.value is None:
        return f"not computable: {figure.reason}"
    text = f"{figure.value:.3f}"
    if figure.ci_low is not None and figure.ci_high is not None:
        text += f" (95 % interval {figure.ci_low:.3f} to {figure.ci_high:.3f})"
    return f"{text}, n = {figure.n}"
