"""A task whose examples are rows of a table: the built-in tasks and custom ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from distilwhy.config import validate
from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.records import Example, Family
from distilwhy.tasks.base import Split
from distilwhy.tasks.rows import (
    DUPLICATE,
    RowReader,
    check_columns,
    draw,
    read_examples,
    settle_rejects,
)
from distilwhy.tasks.sources import SourceSettings, all_rows, read_split

SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""What sources call the splits, best first."""


class TableSettings(SourceSettings):
    """Where a task's rows come from and how many bad ones are put up with."""

    name: str = Field(min_length=1, description="Name of the task, in reports and file names.")
    max_rejects: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Largest share of unusable rows; at 0 any bad row stops the load.",
    )


@dataclass(frozen=True)
class TableTask:
    """A task read from a table.

    Args:
        settings: Its name, source and share of rejects.
        family: How its questions are asked.
        reader: Makes an example of a row.
        columns: Columns that every source must have.
        split_names: For each split, what the source may call it, best first; an empty tuple where
            this task has no such split.
        base: Folder that relative paths start from; ``None`` is the working folder.
        rejects: Folder for rejects files, one a split.
        otherwise: Splits that are read by another reader, and the columns that those must have.
    """

    settings: TableSettings
    family: Family
    reader: RowReader
    columns: tuple[str, ...]
    split_names: Mapping[Split, tuple[str, ...]] = field(default_factory=lambda: SPLIT_NAMES)
    base: Path | None = None
    rejects: Path = Path("rejects")
    otherwise: Mapping[Split, tuple[RowReader, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.settings.name

    def load(self, split: Split, limit: int | None = None, seed: int = 0) -> list[Example]:
        """Return the examples of a split; see :class:`distilwhy.tasks.base.Task`."""
        rows = read_split(self.settings, self.split_names[split], split, self.base)
        subject = f"{self.name} {split}"
        reader, columns = self.otherwise.get(split, (self.reader, self.columns))
        check_columns(rows, columns, f"{subject} ({rows[0][0]})" if rows else subject)
        self._check_drawn()
        examples, bad = read_examples(rows, reader, split)
        out = self.rejects / f"{self.name}-{split}.jsonl"
        settle_rejects(subject, len(rows), bad, self.settings.max_rejects, out)
        return draw(examples, limit, seed)

    def _check_drawn(self) -> None:
        """Refuse an id that stands twice in a source that is drawn into splits.

        Each split alone would look right, while a test question was trained on.
        """
        if self.settings.fractions is None:
            return
        readers = [reader for reader, _ in self.otherwise.values()]
        reader = next(iter(readers), self.reader)
        _, bad = read_examples(all_rows(self.settings, self.base), reader, "row")
        faults = [Fault(item.place, item.reason) for item in bad if DUPLICATE in item.reason]
        raise_faults(DataError, self.name, faults, "Give each row its own id.")

    def configured(self, fields: Mapping[str, Any], base: Path | None) -> TableTask:
        """Return this task with another source or share of rejects.

        Args:
            fields: Fields of :class:`TableSettings` to set. A new source leaves the built-in
                configuration and revision behind, which belong to the built-in source.
            base: Folder that relative paths start from.

        Raises:
            ConfigError: Naming all unknown or wrong fields together.
        """
        kept = {"name", "max_rejects"} if "source" in fields else set(TableSettings.model_fields)
        values = {**self.settings.model_dump(include=kept), **fields}
        return replace(self, settings=validate(TableSettings, values, self.name), base=base)
