"""Predictions of other programs: a table with a column of answers and one of right answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.evaluation.evaluate import evaluate
from distilwhy.evaluation.metrics import Metrics
from distilwhy.files import read_table
from distilwhy.records import LETTERS, Example, Prediction, Record
from distilwhy.tasks.answers import normalise, parse_answer, strip_answer_prefix

SEPARATOR = "|"
QUESTION = "(not in the file)"
"""In place of the question, where a table has no column of questions."""
OTHER = "(any other answer)"

Row = tuple[str, dict[str, Any]]


class ForeignColumns(Record):
    """Which column of a foreign table holds what.

    Args:
        answer: The answer as the predictor wrote it; empty cells are unparsed answers.
        gold: The right answer.
        rationale: The explanation, if there is one.
        choices: The choices: a list, a JSON list, or texts separated by ``|``.
        question: The question, for measures that ask about it.
        id: The example's id; without it examples are numbered from 1.
    """

    answer: str
    gold: str
    rationale: str | None = None
    choices: str | None = None
    question: str | None = None
    id: str | None = None

    @property
    def named(self) -> list[str]:
        """All columns that must be there."""
        values = (self.answer, self.gold, self.rationale, self.choices, self.id)
        return list(dict.fromkeys(value for value in values if value is not None))


def foreign_predictions(
    path: Path,
    answer_column: str,
    gold_column: str,
    rationale_column: str | None = None,
    choices_column: str | None = None,
    id_column: str | None = None,
    question_column: str | None = None,
) -> list[Prediction]:
    """Read predictions from a CSV, TSV, JSON, JSONL or Parquet table.

    Prefixes such as 'The answer is' do not count, on either side, nor do case and punctuation.
    With choices, the answer is read as a student's is. Without them the labels are the values of
    the right-answer column, and an answer equal to none of them is unparsed. When those values
    are more than 26 or just one, each example gets two choices, its right answer and another, so
    that it is a valid record; figures that need choices mean nothing then, and
    :func:`evaluate_foreign` leaves them out.

    Args:
        path: The table; its ending names the format.
        answer_column: The column of answers.
        gold_column: The column of right answers.
        rationale_column: The column of explanations.
        choices_column: The column of choices.
        id_column: The column of ids, needed to compare with other predictions of the examples.
        question_column: The column of questions, needed by measures that ask about them.

    Raises:
        DataError: Naming all missing columns with the known ones, or all rows whose right answer
            or choices cannot be used.
    """
    columns = ForeignColumns(
        answer=answer_column,
        gold=gold_column,
        rationale=rationale_column,
        choices=choices_column,
        question=question_column,
        id=id_column,
    )
    rows = read_table(path)
    _check_columns(path, rows, columns)
    if columns.choices is None:
        return _without_choices(path, rows, columns)
    return _with_choices(path, rows, columns, columns.choices)


def evaluate_foreign(
    path: Path,
    answer_column: str,
    gold_column: str,
    rationale_column: str | None = None,
    choices_column: str | None = None,
    *,
    question_column: str | None = None,
    seed: int = 0,
) -> Metrics:
    """Summarise the predictions of another program, see :func:`foreign_predictions`.

    Args:
        path: The table.
        answer_column: The column of answers.
        gold_column: The column of right answers.
        rationale_column: The column of explanations.
        choices_column: The column of choices.
        question_column: The column of questions.
        seed: Seed of the bootstrap.

    Raises:
        DataError: When the table cannot be read or scored.
    """
    predictions = foreign_predictions(
        path,
        answer_column,
        gold_column,
        rationale_column,
        choices_column,
        question_column=question_column,
    )
    return evaluate_table(predictions, choices_column is not None, seed=seed)


def evaluate_table(
    predictions: Sequence[Prediction], choices_given: bool, *, seed: int = 0
) -> Metrics:
    """Summarise what :func:`foreign_predictions` read.

    Args:
        predictions: The predictions.
        choices_given: Whether the table has a column of choices.
        seed: Seed of the bootstrap.

    Raises:
        DataError: When they cannot be scored.
    """
    labels = {prediction.example.answer for prediction in predictions}
    known = choices_given or 2 <= len(labels) <= len(LETTERS)
    return evaluate(predictions, seed=seed, choices_known=known)


def _check_columns(path: Path, rows: Sequence[Row], columns: ForeignColumns) -> None:
    known = list(dict.fromkeys(name for _, row in rows for name in row))
    missing = [name for name in columns.named if name not in known]
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        raise DataError(
            f"{path} has no {noun} {', '.join(repr(name) for name in missing)}.",
            f"Its columns are: {', '.join(known)}.",
        )


def _with_choices(
    path: Path, rows: Sequence[Row], columns: ForeignColumns, choices_column: str
) -> list[Prediction]:
    predictions, faults = [], []
    ids = _ids(path, rows, columns)
    for name, (place, row) in zip(ids, rows, strict=True):
        choices = _choices(row.get(choices_column))
        if len({normalise(choice) for choice in choices}) < 2:
            faults.append(Fault(place, f"column {choices_column!r} holds no two choices"))
            continue
        if len(choices) > len(LETTERS):
            faults.append(Fault(place, f"more than {len(LETTERS)} choices"))
            continue
        gold = parse_answer(_cell(row, columns.gold), choices)
        if gold is None:
            value = _cell(row, columns.gold)
            faults.append(Fault(place, f"the right answer {value!r} is none of the choices"))
            continue
        answer = parse_answer(_cell(row, columns.answer), choices)
        predictions.append(_prediction(name, row, columns, choices, gold, answer))
    raise_faults(
        DataError, str(path), faults, f"Choices are a JSON list, or separated by {SEPARATOR!r}."
    )
    return predictions


def _without_choices(path: Path, rows: Sequence[Row], columns: ForeignColumns) -> list[Prediction]:
    labels: dict[str, str] = {}
    faults = []
    for place, row in rows:
        label = strip_answer_prefix(_cell(row, columns.gold)).strip()
        if not normalise(label):
            faults.append(Fault(place, f"column {columns.gold!r} holds no right answer"))
        labels.setdefault(normalise(label), label)
    raise_faults(DataError, str(path), faults, "Give every row its right answer.")
    shared = tuple(labels.values()) if 2 <= len(labels) <= len(LETTERS) else None
    predictions = []
    for name, (_, row) in zip(_ids(path, rows, columns), rows, strict=True):
        gold = labels[_key(row, columns.gold)]
        answer = labels.get(_key(row, columns.answer))
        choices = shared or _two_choices(gold, answer, labels)
        predictions.append(_prediction(name, row, columns, choices, gold, answer))
    return predictions


def _two_choices(gold: str, answer: str | None, labels: Mapping[str, str]) -> tuple[str, str]:
    if answer is not None and answer != gold:
        return gold, answer
    return gold, next((label for label in labels.values() if label != gold), OTHER)


def _key(row: Mapping[str, Any], column: str) -> str:
    return normalise(strip_answer_prefix(_cell(row, column)))


def _cell(row: Mapping[str, Any], column: str) -> str:
    """Return a cell's text; empty for a missing value (Parquet's NaN among them)."""
    value = row.get(column)
    if value is None or value != value:
        return ""
    # A missing value elsewhere in a column of whole numbers makes them floats.
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def _choices(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = None
        value = parsed if isinstance(parsed, list) else value.split(SEPARATOR)
    if not isinstance(value, list):
        return ()
    return tuple(text for text in (str(item).strip() for item in value) if text)


def _ids(path: Path, rows: Sequence[Row], columns: ForeignColumns) -> list[str]:
    if columns.id is None:
        return [str(number) for number in range(1, len(rows) + 1)]
    ids = [_cell(row, columns.id) for _, row in rows]
    counts = Counter(ids)
    faults = [
        Fault(place, f"the id {name!r} occurs {counts[name]} times" if name else "the id is empty")
        for name, (place, _) in zip(ids, rows, strict=True)
        if not name or counts[name] > 1
    ]
    raise_faults(DataError, str(path), faults, "Give every row an id of its own.")
    return ids


def _prediction(
    name: str,
    row: Mapping[str, Any],
    columns: ForeignColumns,
    choices: tuple[str, ...],
    gold: str,
    answer: str | None,
) -> Prediction:
    asked = _cell(row, columns.question).strip() if columns.question else ""
    return Prediction(
        example=Example(id=name, question=asked or QUESTION, choices=choices, answer=gold),
        answer=answer,
        answer_text=_cell(row, columns.answer),
        rationale=_cell(row, columns.rationale) or None if columns.rationale else None,
    )
