"""Import of published teacher outputs: raw texts become cleaned, gated annotations.

The layout is that of the repository DanielHendriks/llm-distillation, folder
``llm_outputs/consolidated``, published with 'Honey, I Shrunk the Language Model' (Hendriks et al.
2025, arXiv 2504.16056): a row an example, a column a text of the teacher.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distilwhy.errors import ConfigError, DataError
from distilwhy.files import read_table
from distilwhy.records import Annotation, Example, TeacherText
from distilwhy.tasks import commonsense_qa, esnli, strategyqa
from distilwhy.tasks.rows import (
    PlacedRow,
    Reject,
    Row,
    RowReader,
    check_columns,
    read_examples,
    settle_rejects,
)
from distilwhy.tasks.sources import read_saved
from distilwhy.teaching.gates import FlagCounts, count_flags, teacher_text

RATIONALE = "few_shot_positive_rationale"
REVISION = "few_shot_revision"
COUNTERFACTUAL = "counterfactual_prompt_answer_{}_rationale"


@dataclass(frozen=True)
class Layout:
    """How one task's rows are laid out.

    Args:
        columns: Columns of the question, its choices and answer.
        reader: Makes an example of a row.
        choices: Choices a question, so many counterfactual columns there are.
    """

    columns: tuple[str, ...]
    reader: RowReader
    choices: int

    @property
    def needed(self) -> tuple[str, ...]:
        """All columns that a file must have."""
        counterfactuals = (COUNTERFACTUAL.format(k) for k in range(1, self.choices + 1))
        return (*self.columns, RATIONALE, REVISION, *counterfactuals)


LAYOUTS: dict[str, Layout] = {
    "commonsense_qa": Layout((*commonsense_qa.COLUMNS, "answer"), commonsense_qa.example_of, 5),
    "esnli": Layout(esnli.COLUMNS, esnli.example_of, 3),
    "strategyqa": Layout(strategyqa.COLUMNS, strategyqa.example_of, 2),
}


@dataclass(frozen=True)
class ImportResult:
    """What an import gave.

    Args:
        task: The task that the rows belong to.
        annotations: One for each usable row, in row order.
        counts: Step -> how many texts it has and how many failed each gate.
        rejects: Rows that could not be used.
    """

    task: str
    annotations: tuple[Annotation, ...]
    counts: dict[str, FlagCounts]
    rejects: tuple[Reject, ...] = ()


def import_published(
    path: Path, task: str | None = None, max_rejects: float = 0.0, rejects: Path | None = None
) -> ImportResult:
    """Turn published teacher outputs into annotations.

    Args:
        path: A table (Parquet, JSONL, CSV), or a folder written by ``datasets.save_to_disk``, or a
            folder of such folders named ``shard_*``.
        task: ``commonsense_qa``, ``esnli`` or ``strategyqa``; ``None`` tells it by the columns.
        max_rejects: The largest share of unusable rows that is put up with, from 0 to 1.
        rejects: Where unusable rows are written, with the reasons; ``None`` writes none.

    Returns:
        The annotations, texts cleaned and cut to whole sentences, faults of the texts flagged.

    Raises:
        ConfigError: When the task has no published layout.
        DataError: When columns are missing (all named), or too many rows are unusable.
    """
    rows = read_rows(path)
    name = task or _task_of(rows, path)
    if name not in LAYOUTS:
        raise ConfigError(
            f"There is no published layout for the task {name!r}.", f"Known: {', '.join(LAYOUTS)}."
        )
    layout = LAYOUTS[name]
    check_columns(rows, layout.needed, str(path))
    numbered = dict(rows)
    examples, bad = read_examples(rows, layout.reader, id_prefix(path))
    settle_rejects(str(path), len(rows), bad, max_rejects, rejects)
    dropped = {reject.place for reject in bad}
    kept = [row for place, row in numbered.items() if place not in dropped]
    teacher = f"published:{path.name}"
    annotations = tuple(
        _annotation(example, row, teacher) for example, row in zip(examples, kept, strict=True)
    )
    return ImportResult(name, annotations, count_flags(annotations), tuple(bad))


def read_rows(path: Path) -> list[PlacedRow]:
    """Read the rows of a published file or folder.

    Args:
        path: As in :func:`import_published`.

    Raises:
        DataError: When there is nothing there that can be read.
    """
    if not path.is_dir():
        return read_table(path)
    shards = sorted(path.glob("shard_*"), key=_shard_order) or [path]
    rows: list[PlacedRow] = []
    for shard in shards:
        saved = read_saved(shard)
        if isinstance(saved, dict):
            raise DataError(f"{shard} holds splits.", f"Give one: {', '.join(saved)}.")
        rows += saved
    if not rows:
        raise DataError(f"{path} is empty.", "Give a file with at least one row.")
    return rows


def _shard_order(shard: Path) -> tuple[int, str]:
    number = re.search(r"\d+", shard.name)
    return (int(number.group()) if number else 0, shard.name)


def _task_of(rows: Sequence[PlacedRow], path: Path) -> str:
    columns = set(rows[0][1])
    for name in ("esnli", "commonsense_qa", "strategyqa"):
        if columns >= set(LAYOUTS[name].columns):
            return name
    raise DataError(
        f"{path} does not look like the published outputs of a known task.",
        f"Name the task; known: {', '.join(LAYOUTS)}.",
    )


def id_prefix(path: Path) -> str:
    """The split that the file's name tells, else ``row``: the front of ids where rows have none."""
    parts = re.split(r"[^a-z]+", path.name.lower())
    return next((split for split in ("train", "validation", "test") if split in parts), "row")


def _annotation(example: Example, row: Row, teacher: str) -> Annotation:
    def text(column: str, step: str, target: str | None) -> TeacherText | None:
        raw = row.get(column)
        return None if raw is None else teacher_text(str(raw), step, example, target)

    counterfactuals: dict[str, TeacherText] = {}
    for number, choice in enumerate(example.choices, 1):
        argued = text(COUNTERFACTUAL.format(number), "counterfactual", choice)
        if argued is not None and choice not in counterfactuals:
            counterfactuals[choice] = argued
    return Annotation(
        example=example,
        teacher=teacher,
        rationale=text(RATIONALE, "rationale", example.answer),
        revision=text(REVISION, "revision", example.answer),
        counterfactuals=counterfactuals,
    )
