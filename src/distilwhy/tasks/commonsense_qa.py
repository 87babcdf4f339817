"""CommonsenseQA 1.11 (Talmor et al. 2019, arXiv 1811.00937): everyday questions, five choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilwhy.records import LETTERS, Example
from distilwhy.tasks.base import TASKS
from distilwhy.tasks.rows import Row, text_of
from distilwhy.tasks.table import TableSettings, TableTask

COLUMNS = ("question", "choices")


def example_of(row: Row, fallback_id: str) -> Example:
    """Make an example of a row.

    Args:
        row: As on the Hub (``choices`` with ``label`` and ``text``, ``answerKey``) or flat
            (``choices`` a list of texts, ``answer`` a text).
        fallback_id: Its id where the row has none.

    Raises:
        ValueError: When the row cannot be used.
    """
    raw = row.get("choices")
    if isinstance(raw, Mapping):
        texts, labels = list(raw.get("text") or ()), list(raw.get("label") or ())
    else:
        texts, labels = _texts(raw), []
    choices = tuple(str(text).strip() for text in texts)
    return Example(
        id=str(row.get("id") or fallback_id),
        question=text_of(row, "question"),
        choices=choices,
        answer=_answer(row, choices, [str(label) for label in labels]),
    )


def _texts(raw: Any) -> list[Any]:
    if not isinstance(raw, list | tuple):
        raise ValueError("choices is not a list")
    return list(raw)


def _answer(row: Row, choices: tuple[str, ...], labels: list[str]) -> str | None:
    if "answerKey" not in row:
        return str(row["answer"]).strip() if row.get("answer") is not None else None
    key = str(row["answerKey"] or "").strip()
    if not key:
        return None
    names = labels or [letter.upper() for letter in LETTERS[: len(choices)]]
    if key not in names:
        raise ValueError(f"answerKey {key!r} is not among {', '.join(names)}")
    return choices[names.index(key)]


TASKS.add(
    "commonsense_qa",
    TableTask(
        TableSettings(name="commonsense_qa", source="tau/commonsense_qa"),
        "multiple_choice",
        example_of,
        COLUMNS,
        # The Hub's test rows have no answers, so the paper tests on its validation rows.
        {"train": ("train",), "validation": (), "test": ("validation", "test")},
    ),
)
