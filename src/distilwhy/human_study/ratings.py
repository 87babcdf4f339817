"""Ratings of explanations by people: reading and checking the table that the study wrote."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilwhy import config
from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.files import read_table
from distilwhy.human_study.conditions import notes, ordered

CONSTRUCTS: tuple[str, ...] = config.CONSTRUCTS
"""The five rated qualities in the paper's order."""

QUALITY = "quality"
"""The mean of the five."""

DEMOGRAPHICS = ("gender", "age", "country", "education", "employement")
"""Columns on the participant, in the paper's order and spelling."""

LOWEST, HIGHEST = 1, 5
NEEDED = ("CASE", "model", *CONSTRUCTS)
MISSING = ("", "na", "n/a", "nan", "null", "none")
REMEDY = f"Ratings are whole numbers from {LOWEST} to {HIGHEST}; a missing one is empty."
NOT_STATED = "not stated"
OTHER_NAMES = {"employement": "employment"}

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Ratings:
    """The ratings of a study, one row a rated explanation.

    Args:
        conditions: Labels of the conditions, in the order of every table.
        condition: Place in ``conditions``, shape ``(rows,)``.
        participants: Names, as they first appear.
        participant: Place in ``participants``, shape ``(rows,)``.
        item: Which explanation was rated, numbered from 0, shape ``(rows,)``; ``None`` where the
            table does not tell.
        values: Ratings, 1 to 5, shape ``(rows, 5)`` in the order of ``CONSTRUCTS``; NaN if missing.
        length: Length of the explanation, shape ``(rows,)``, NaN if missing; ``None`` where the
            table does not tell.
        demographics: By column, what each row's participant said.
        notes: Sentences on what a reader of the results must know of the table.
    """

    conditions: tuple[str, ...]
    condition: Indices
    participants: tuple[str, ...]
    participant: Indices
    item: Indices | None
    values: Numbers
    length: Numbers | None
    demographics: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def quality(self) -> Numbers:
        """The mean of the five ratings of each row; NaN where one is missing."""
        return np.asarray(self.values.mean(axis=1))

    def outcome(self, name: str) -> Numbers:
        """Return the ratings of one construct, or quality, shape ``(rows,)``."""
        return self.quality if name == QUALITY else self.values[:, CONSTRUCTS.index(name)]

    def groups(self, name: str) -> list[list[float]]:
        """Return the ratings of one construct, or quality, by condition, without missing ones."""
        values = self.outcome(name)
        return [
            values[(self.condition == place) & ~np.isnan(values)].tolist()
            for place in range(len(self.conditions))
        ]


def read_ratings(path: Path) -> Ratings:
    """Read ratings from a CSV, TSV, JSON, JSONL or Parquet table with the paper's columns.

    Names of columns may be in any case. ``CASE`` (the participant), ``model`` (the condition) and
    the five constructs must be there; figures that need another column are not computable without.
    A missing rating is an empty cell or ``NA``. An explanation is told by its condition,
    ``rationale_id`` and text together.

    Args:
        path: The table; its ending names the format.

    Raises:
        DataError: Naming all missing columns, or all cells that cannot be used.
    """
    rows = read_table(path)
    columns = {name.strip().casefold(): name for _, row in rows for name in row if name}
    _check_columns(path, columns)
    places = [place for place, _ in rows]
    faults: list[Fault] = []

    def column(name: str) -> list[str] | None:
        known = columns.get(name.casefold()) or columns.get(OTHER_NAMES.get(name, name))
        return None if known is None else [_text(row.get(known)) for _, row in rows]

    people, labels = column("CASE") or [], column("model") or []
    for name, cells in (("CASE", people), ("model", labels)):
        faults += [
            Fault(p, f"{name} is empty") for p, c in zip(places, cells, strict=True) if not c
        ]
    values = np.array(
        [_numbers(name, column(name) or [], places, faults, rating=True) for name in CONSTRUCTS]
    ).T
    lengths = column("rationale_length")
    length = None if lengths is None else _numbers("rationale_length", lengths, places, faults)
    raise_faults(DataError, str(path), faults, REMEDY)

    texts = column("rationale") or [""] * len(rows)
    ids = column("rationale_id")
    item = None if ids is None else _numbered(list(zip(labels, ids, texts, strict=True)))
    participant = _numbered(people)
    doubled = _check_repeats(path, places, participant, item, values)
    conditions, unknown = ordered(labels)
    told = {name: column(name) for name in DEMOGRAPHICS}
    demographics = {
        name: tuple(NOT_STATED if cell.casefold() in MISSING else cell for cell in cells)
        for name, cells in told.items()
        if cells is not None
    }
    return Ratings(
        conditions=tuple(conditions),
        condition=np.array([conditions.index(label) for label in labels]),
        participants=tuple(dict.fromkeys(people)),
        participant=participant,
        item=item,
        values=values,
        length=None if length is None else np.array(length),
        demographics=demographics,
        notes=(*notes(conditions, unknown), *doubled),
    )


@dataclass(frozen=True)
class RatedText:
    """One person's ratings of one explanation, whatever else its table tells.

    Args:
        rationale: The explanation.
        question: The question that it is about; ``None`` where the table does not tell.
        values: Ratings from 1 to 5 by construct; missing ones are left out.
    """

    rationale: str
    question: str | None
    values: Mapping[str, int]


def read_rated_texts(path: Path) -> list[RatedText]:
    """Read explanations and their ratings from a table of which no more is needed.

    ``rationale`` and one or more constructs must be there, in any case; ``question`` may be.

    Args:
        path: The table; its ending names the format.

    Raises:
        DataError: Naming the columns that are missing, or all cells that cannot be used.
    """
    rows = read_table(path)
    columns = {name.strip().casefold(): name for _, row in rows for name in row if name}
    constructs = [name for name in CONSTRUCTS if name in columns]
    if "rationale" not in columns or not constructs:
        raise DataError(
            f"{path} has no column 'rationale', or none of {', '.join(CONSTRUCTS)}.",
            f"Its columns are: {', '.join(columns.values())}.",
        )
    places = [place for place, _ in rows]
    faults: list[Fault] = []
    cells = {
        name: [_text(row.get(columns.get(name, ""))) for _, row in rows]
        for name in (*constructs, "rationale", "question")
    }
    numbers = {
        name: _numbers(name, cells[name], places, faults, rating=True) for name in constructs
    }
    raise_faults(DataError, str(path), faults, REMEDY)
    return [
        RatedText(
            text,
            question or None,
            {name: int(found[row]) for name, found in numbers.items() if found[row] == found[row]},
        )
        for row, (text, question) in enumerate(
            zip(cells["rationale"], cells["question"], strict=True)
        )
    ]


def _check_columns(path: Path, columns: Mapping[str, str]) -> None:
    missing = [name for name in NEEDED if name.casefold() not in columns]
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        raise DataError(
            f"{path} has no {noun} {', '.join(repr(name) for name in missing)}.",
            f"Its columns are: {', '.join(columns.values())}.",
        )


def _text(value: Any) -> str:
    """Return a cell's text; empty for a missing value (Parquet's NaN among them)."""
    if value is None or value != value:
        return ""
    # A missing value elsewhere in a column of whole numbers makes them floats.
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _numbers(
    name: str,
    cells: Sequence[str],
    places: Sequence[str],
    faults: list[Fault],
    rating: bool = False,
) -> list[float]:
    """Return a column's numbers, NaN where one is missing; what is none goes into ``faults``."""
    numbers = []
    for place, cell in zip(places, cells, strict=True):
        number = _number(cell)
        numbers.append(math.nan if number is None else number)
        if cell.casefold() in MISSING:
            continue
        if number is None or not math.isfinite(number):
            faults.append(Fault(place, f"{name} is {cell[:40]!r}, not a number"))
        elif rating and number not in range(LOWEST, HIGHEST + 1):
            what = f"{name} is {cell[:40]}, not a whole number from {LOWEST} to {HIGHEST}"
            faults.append(Fault(place, what))
        elif number < 0:
            faults.append(Fault(place, f"{name} is {cell[:40]}, below 0"))
    return numbers


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _numbered(keys: Sequence[Any]) -> Indices:
    """Return for each key its number, counted from 0 as they first appear."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _check_repeats(
    path: Path, places: Sequence[str], participant: Indices, item: Indices | None, values: Numbers
) -> list[str]:
    """Refuse lines that stand twice, and tell of explanations that one person rated twice."""
    if item is None:
        return []
    rows = defaultdict(list)
    for row, key in enumerate(zip(participant.tolist(), item.tolist(), strict=True)):
        rows[key].append(row)
    faults, again = [], 0
    for repeats in (found for found in rows.values() if len(found) > 1):
        seen: dict[bytes, int] = {}
        for row in repeats:
            first = seen.setdefault(values[row].tobytes(), row)
            if first != row:
                what = f"the same person's same ratings of the same explanation as {places[first]}"
                faults.append(Fault(places[row], what))
        again += len(seen) - 1
    raise_faults(DataError, str(path), faults, "Remove the lines that stand there twice.")
    if not again:
        return []
    return [
        f"{again} ratings are of an explanation that the same participant rated before; all count."
    ]
