"""e-SNLI (Camburu et al. 2018, arXiv 1812.01193): does a premise entail a hypothesis?"""

from __future__ import annotations

from distilwhy.records import Example
from distilwhy.tasks.base import TASKS
from distilwhy.tasks.rows import Row, text_of
from distilwhy.tasks.table import TableSettings, TableTask

COLUMNS = ("premise", "hypothesis", "label")
LABELS = ("entailment", "neutral", "contradiction")


def example_of(row: Row, fallback_id: str) -> Example:
    """Make an example of a row: the premise is the context, the hypothesis the question.

    Args:
        row: With ``premise``, ``hypothesis`` and ``label`` (0, 1, 2 or the label's name).
        fallback_id: Its id where the row has none; e-SNLI has no ids.

    Raises:
        ValueError: When the row cannot be used, e.g. label -1, on which annotators did not agree.
    """
    return Example(
        id=str(row.get("id") or fallback_id),
        question=text_of(row, "hypothesis"),
        context=text_of(row, "premise"),
        choices=LABELS,
        answer=_label(row.get("label")),
        family="nli",
    )


def _label(value: object) -> str:
    text = str(value).strip().lower()
    if text in LABELS:
        return text
    if text in ("0", "1", "2"):
        return LABELS[int(text)]
    raise ValueError(f"label {value!r} is not 0, 1 or 2")


TASKS.add(
    "esnli",
    TableTask(
        # The data set's own branch holds only a loading script, which is never run; this is the
        # Hub's Parquet conversion of it. A row without agreement (label -1) is a reject.
        TableSettings(
            name="esnli", source="esnli/esnli", revision="refs/convert/parquet", max_rejects=0.02
        ),
        "nli",
        example_of,
        COLUMNS,
    ),
)
