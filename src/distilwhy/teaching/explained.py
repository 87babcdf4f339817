"""Import of explanations that people wrote: columns of a task's own rows become annotations.

Such as ``abstractive_explanation`` of CoS-E (Rajani et al. 2019, arXiv 1906.02361), whose rows are
those of CommonsenseQA, or ``explanation_1`` of e-SNLI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilwhy.errors import ConfigError
from distilwhy.records import Annotation, Example
from distilwhy.tasks.load import load_task
from distilwhy.tasks.rows import (
    Row,
    check_columns,
    is_blank,
    read_examples,
    settle_rejects,
    text_of,
)
from distilwhy.tasks.table import TableTask
from distilwhy.teaching.gates import count_flags, teacher_text
from distilwhy.teaching.published import ImportResult, id_prefix, read_rows


def import_explanations(
    path: Path,
    task: str | Mapping[str, Any],
    columns: Sequence[str],
    *,
    by: str = "human",
    max_rejects: float = 0.0,
    rejects: Path | None = None,
) -> ImportResult:
    """Turn rows that hold explanations into annotations.

    Args:
        path: A table (Parquet, JSONL, CSV), or a folder written by ``datasets.save_to_disk``.
        task: The task that the rows are of: its name, a task file, or a custom task.
        columns: Where explanations stand; of several, the first that is not blank is taken. An
            example without any has an annotation without a rationale.
        by: Who wrote them: the annotations' ``teacher``.
        max_rejects: The largest share of unusable rows that is put up with, from 0 to 1.
        rejects: Where unusable rows are written, with the reasons; ``None`` writes none.

    Raises:
        ConfigError: When the task's rows are no table's.
        DataError: When columns are missing (all named), or too many rows are unusable.
    """
    found = load_task(task, None, path.parent / "rejects")
    if not isinstance(found, TableTask):
        raise ConfigError(
            f"The task {found.name!r} does not read rows of a table.",
            "Declare a custom task for these rows (docs/tasks.md).",
        )
    rows = read_rows(path)
    check_columns(rows, (*found.columns, *columns), str(path))
    examples, bad = read_examples(rows, found.reader, id_prefix(path))
    settle_rejects(str(path), len(rows), bad, max_rejects, rejects)
    dropped = {reject.place for reject in bad}
    kept = [row for place, row in rows if place not in dropped]
    annotations = tuple(
        _annotation(example, row, columns, by) for example, row in zip(examples, kept, strict=True)
    )
    return ImportResult(found.name, annotations, count_flags(annotations), tuple(bad))


def _annotation(example: Example, row: Row, columns: Sequence[str], by: str) -> Annotation:
    column = next((name for name in columns if not is_blank(row, name)), None)
    if column is None:
        return Annotation(example=example, teacher=by)
    text = teacher_text(text_of(row, column), "rationale", example, example.answer)
    return Annotation(example=example, teacher=by, rationale=text)
