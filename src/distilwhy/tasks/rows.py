"""From rows to examples: bad rows are collected with their reasons, never dropped silently."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.files import atomic_text, describe
from distilwhy.records import Example

ItemT = TypeVar("ItemT")

LOGGER = logging.getLogger(__name__)

Row = dict[str, Any]
PlacedRow = tuple[str, Row]
"""A place to name in messages (``file:line``) and the row that stands there."""

RowReader = Callable[[Row, str], Example]
"""Makes an example of a row; the second argument is the id to use where the row has none.

Raises ``ValueError`` (pydantic's among them) with the reason when the row cannot be used.
"""


@dataclass(frozen=True)
class Reject:
    """A row that could not be used.

    Args:
        place: Where it stands, e.g. ``train.jsonl:12``.
        reason: Why it could not be used, as a short clause.
        row: The row.
    """

    place: str
    reason: str
    row: Row


DUPLICATE = "stands in"
"""Words that mark a reject whose id came before."""


def read_examples(
    rows: Sequence[PlacedRow], reader: RowReader, prefix: str
) -> tuple[list[Example], list[Reject]]:
    """Turn rows into examples; rows that cannot be used become rejects.

    Args:
        rows: The rows of one split.
        reader: Makes an example of a row.
        prefix: Front of the ids of rows that have none; they are numbered from 1.

    Returns:
        The examples in row order, and the rejects, among them rows whose id came before.
    """
    examples: list[Example] = []
    rejects: list[Reject] = []
    seen: dict[str, str] = {}
    for number, (place, row) in enumerate(rows, 1):
        try:
            example = reader(row, f"{prefix}-{number}")
        except ValidationError as error:
            rejects.append(Reject(place, "; ".join(describe(error)), row))
            continue
        except ValueError as error:
            rejects.append(Reject(place, str(error), row))
            continue
        if example.id in seen:
            rejects.append(
                Reject(place, f"id {example.id!r} {DUPLICATE} {seen[example.id]} too", row)
            )
            continue
        seen[example.id] = place
        examples.append(example)
    return examples, rejects


def check_columns(rows: Sequence[PlacedRow], needed: Sequence[str], subject: str) -> None:
    """Check that the first row has all columns.

    Args:
        rows: The rows.
        needed: Names of the columns.
        subject: What was read, for the message.

    Raises:
        DataError: Naming all missing columns in one sentence, and those that are there.
    """
    first = rows[0][1] if rows else {}
    missing = [name for name in needed if name not in first]
    if missing:
        raise DataError(
            f"{subject} lacks the column{'s' if len(missing) > 1 else ''} "
            f"{', '.join(map(repr, missing))}.",
            f"It has: {', '.join(map(str, first)) or 'none'}.",
        )


def settle_rejects(
    subject: str, total: int, rejects: Sequence[Reject], max_share: float, out: Path | None = None
) -> None:
    """Stop when too many rows were rejected; else write them down and say so in the log.

    Args:
        subject: What was read, for the message.
        total: Rows read.
        rejects: The rejects, in row order.
        max_share: The largest share of rejects that is put up with, from 0 to 1.
        out: The rejects file; ``None`` writes none.

    Raises:
        DataError: Listing the rejects together, when their share is over ``max_share``.
    """
    if not rejects:
        return
    if len(rejects) > max_share * total:
        allowed = f"; at most {max_share:.1%} may be rejected" if max_share else ""
        raise_faults(
            DataError,
            f"{subject} ({len(rejects)} of {total} rows unusable{allowed})",
            [Fault(reject.place, reject.reason) for reject in rejects],
            "Mend these rows, or allow a share of rejects with max_rejects.",
        )
    where = ""
    if out is not None:
        write_rejects(out, rejects)
        where = f"; they are in {out} with the reasons"
    LOGGER.warning("%s: %d of %d rows were left out%s", subject, len(rejects), total, where)


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Write rejected rows as JSON Lines: ``place``, ``reason`` and ``row``."""
    with atomic_text(path) as stream:
        for reject in rejects:
            line = {"place": reject.place, "reason": reject.reason, "row": reject.row}
            stream.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def draw(examples: Sequence[ItemT], limit: int | None, seed: int) -> list[ItemT]:
    """Return so many items at most, drawn by seed and kept in order; ``None`` keeps all."""
    if limit is None or limit >= len(examples):
        return list(examples)
    chosen = random.Random(seed).sample(range(len(examples)), limit)  # noqa: S311
    return [examples[index] for index in sorted(chosen)]


def is_blank(row: Row, column: str) -> bool:
    """Return whether a cell is missing, null or white space only."""
    value = row.get(column)
    return value is None or (isinstance(value, str) and not value.strip())


def text_of(row: Row, column: str) -> str:
    """Return a cell as text without the white space around it.

    Raises:
        ValueError: When the cell is missing, blank, or not a plain value.
    """
    value = row.get(column)
    if isinstance(value, list | tuple | dict):
        raise ValueError(f"{column} is not text")
    text = "" if value is None else str(value).strip()
    if not text:
        raise ValueError(f"{column} is empty")
    return text
