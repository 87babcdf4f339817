"""StrategyQA (Geva et al. 2021, arXiv 2101.02235): yes/no questions that need several steps."""

from __future__ import annotations

from distilwhy.records import Example
from distilwhy.tasks.base import TASKS
from distilwhy.tasks.rows import Row, text_of
from distilwhy.tasks.table import TableSettings, TableTask

COLUMNS = ("question", "answer")
CHOICES = ("yes", "no")
ANSWERS = {"true": "yes", "yes": "yes", "1": "yes", "false": "no", "no": "no", "0": "no"}


def example_of(row: Row, fallback_id: str) -> Example:
    """Make an example of a row.

    Args:
        row: With ``question``, ``answer`` (a boolean, or yes/no) and ``qid`` where known.
        fallback_id: Its id where the row has none.

    Raises:
        ValueError: When the row cannot be used.
    """
    value = row.get("answer")
    answer = ANSWERS.get(str(value).strip().lower())
    if answer is None:
        raise ValueError(f"answer {value!r} is not true or false")
    return Example(
        id=str(row.get("qid") or row.get("id") or fallback_id),
        question=text_of(row, "question"),
        choices=CHOICES,
        answer=answer,
        family="yes_no",
    )


TASKS.add(
    "strategyqa",
    TableTask(
        TableSettings(name="strategyqa", source="ChilleD/StrategyQA"),
        "yes_no",
        example_of,
        COLUMNS,
    ),
)
