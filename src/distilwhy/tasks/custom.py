"""A task of one's own, declared in YAML: which columns hold what, and where the rows are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distilwhy.config import Settings, validate
from distilwhy.records import LETTERS, Example, Family
from distilwhy.tasks import esnli, strategyqa
from distilwhy.tasks.base import Split
from distilwhy.tasks.rows import Row, is_blank, text_of
from distilwhy.tasks.table import TableSettings, TableTask

AnswerForm = Literal["text", "letter", "index_from_0", "index_from_1"]


class Columns(Settings):
    """Which columns of a table hold what."""

    question: str = Field(description="The question; for nli, the hypothesis.")
    answer: str | None = Field(None, description="The right answer; unset where it is unknown.")
    choices: str | tuple[str, ...] | None = Field(
        None, description="One column with a list (or text with separators), or one a choice."
    )
    context: str | None = Field(None, description="Text asked about; for nli, the premise.")
    id: str | None = Field(None, description="Unique ids; rows are numbered when unset.")

    @property
    def names(self) -> tuple[str, ...]:
        """All columns named."""
        choices = (self.choices,) if isinstance(self.choices, str) else self.choices or ()
        single = (self.question, self.answer, self.context, self.id)
        return (*(name for name in single if name is not None), *choices)


class CustomSettings(TableSettings):
    """A task of one's own."""

    family: Family = Field("multiple_choice", description="How questions are asked.")
    columns: Columns = Field(description="Which columns hold what.")
    labels: dict[str, str] | None = Field(
        None, description="The same choices for every question: a list, or raw value -> label."
    )
    unlabelled: tuple[Split, ...] = Field(
        (), description="Splits whose rows may lack the answer, e.g. [train]; see teacher.labels."
    )
    answer_form: AnswerForm = Field("text", description="How the answer column names the choice.")
    separator: str = Field("|", min_length=1, description="Separates choices in a text column.")

    @field_validator("labels", mode="before")
    @classmethod
    def _as_mapping(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {_plain(label): _plain(label) for label in value}
        if isinstance(value, Mapping):
            return {_plain(raw): _plain(label) for raw, label in value.items()}
        return value

    @model_validator(mode="after")
    def _check_family(self) -> CustomSettings:
        if self.columns.choices is not None and self.labels is not None:
            raise ValueError("give either columns.choices or labels")
        if self.family == "multiple_choice":
            if self.columns.choices is None and self.labels is None:
                raise ValueError("multiple_choice needs columns.choices or labels")
        elif self.columns.choices is not None:
            raise ValueError(f"{self.family} takes labels, not columns.choices")
        if self.family == "nli" and self.columns.context is None:
            raise ValueError("nli needs columns.context, the premise")
        if self.family == "yes_no" and set(self.label_set) != {"yes", "no"}:
            raise ValueError("the labels of yes_no must be yes and no")
        if self.labels is not None and len(self.label_set) < 2:
            raise ValueError("labels: give two or more")
        return self

    @property
    def label_set(self) -> tuple[str, ...]:
        """The choices that every question has; empty where each question has its own."""
        if self.labels is not None:
            return tuple(dict.fromkeys(self.labels.values()))
        return {"nli": esnli.LABELS, "yes_no": strategyqa.CHOICES}.get(self.family, ())

    def read(self, row: Row, fallback_id: str) -> Example:
        """Make an example of a row.

        Args:
            row: The row.
            fallback_id: Its id where no id column is declared.

        Raises:
            ValueError: With the reason, when the row cannot be used.
        """
        columns = self.columns
        choices = self.label_set or _choices(row, columns.choices or (), self.separator)
        return Example(
            id=text_of(row, columns.id) if columns.id else fallback_id,
            question=text_of(row, columns.question),
            choices=choices,
            answer=self._answer(row, choices) if columns.answer else None,
            context=self._context(row),
            family=self.family,
        )

    def read_unlabelled(self, row: Row, fallback_id: str) -> Example:
        """Make an example of a row that may lack its answer; as :meth:`read` otherwise."""
        if self.columns.answer is None or not is_blank(row, self.columns.answer):
            return self.read(row, fallback_id)
        columns = self.columns.model_copy(update={"answer": None})
        return self.model_copy(update={"columns": columns}).read(row, fallback_id)

    def _context(self, row: Row) -> str | None:
        column = self.columns.context
        # A premise must be there; other questions may do without the text that they refer to.
        if column is None or (self.family != "nli" and is_blank(row, column)):
            return None
        return text_of(row, column)

    def _answer(self, row: Row, choices: tuple[str, ...]) -> str:
        column = str(self.columns.answer)
        value = text_of(row, column)
        if self.answer_form == "text":
            return self._label(value) if self.label_set else value
        if self.answer_form == "letter":
            letter = value.strip("().: ").lower()
            index = LETTERS.index(letter) if len(letter) == 1 and letter in LETTERS else -1
        else:
            first = 1 if self.answer_form == "index_from_1" else 0
            number = value.removesuffix(".0")
            index = int(number) - first if number.isdecimal() else -1
        if not 0 <= index < len(choices):
            raise ValueError(f"{column} {value!r} names none of the {len(choices)} choices")
        return choices[index]

    def _label(self, value: str) -> str:
        """Return the label of a raw value; case makes no difference."""
        known = {label: label for label in self.label_set} | (self.labels or {})
        if self.labels is None and self.family == "yes_no":
            known |= strategyqa.ANSWERS
        folded = {raw.casefold(): label for raw, label in known.items()}
        label = folded.get(value.casefold())
        if label is None:
            raise ValueError(f"{self.columns.answer} {value!r} is not one of {', '.join(folded)}")
        return label


def custom_task(values: Mapping[str, Any], base: Path | None) -> TableTask:
    """Return the task that a mapping declares.

    Args:
        values: Fields of :class:`CustomSettings`.
        base: Folder that relative paths start from.

    Raises:
        ConfigError: Naming all faults together.
    """
    name = values.get("name")
    settings = validate(CustomSettings, dict(values), f"task {name}" if name else "task")
    columns = settings.columns.names
    optional = tuple(name for name in columns if name != settings.columns.answer)
    return TableTask(
        settings,
        settings.family,
        settings.read,
        columns,
        base=base,
        otherwise=dict.fromkeys(settings.unlabelled, (settings.read_unlabelled, optional)),
    )


def _plain(value: Any) -> Any:
    """Undo YAML's reading of a bare yes or no as a truth value; numbers become text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else value


def _choices(row: Row, columns: str | tuple[str, ...], separator: str) -> tuple[str, ...]:
    if isinstance(columns, str):
        return _listed(row, columns, separator)
    cells = ["" if row.get(name) is None else str(row[name]).strip() for name in columns]
    # Questions may have fewer choices than there are columns, but a gap would shift the letters.
    while cells and not cells[-1]:
        cells.pop()
    return tuple(cells)


def _listed(row: Row, column: str, separator: str) -> tuple[str, ...]:
    value = row.get(column)
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"{column} is not a JSON list ({error.msg})") from error
    elif isinstance(value, str):
        value = value.split(separator)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{column} is not a list")
    return tuple(str(choice).strip() for choice in value)
