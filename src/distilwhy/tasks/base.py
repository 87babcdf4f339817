"""A task: a data set plus how its questions are shown; loading is by file, folder or Hub name."""

from __future__ import annotations

from typing import Literal, Protocol

from distilwhy.errors import ConfigError
from distilwhy.records import LETTERS, Example, Family
from distilwhy.registry import Registry

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Task(Protocol):
    """What a task offers to the stages."""

    @property
    def name(self) -> str:
        """Name of the task, in reports and file names."""
        ...

    @property
    def family(self) -> Family:
        """How its questions are asked."""
        ...

    def load(self, split: Split, limit: int | None = None, seed: int = 0) -> list[Example]:
        """Return the examples of a split.

        Args:
            split: Which split; never mixed with another.
            limit: Take so many at most, drawn by seed and kept in file order; ``None`` takes all.
            seed: Seed of that draw.

        Raises:
            DataError: Naming all faulty rows together.
        """
        ...


def checked_split(name: str) -> Split:
    """Return the split of that name.

    Raises:
        ConfigError: When there is no such split.
    """
    for split in SPLITS:
        if name == split:
            return split
    raise ConfigError(f"There is no split {name!r}.", f"Use one of: {', '.join(SPLITS)}.")


TASKS: Registry[Task] = Registry("task")


def question_text(example: Example) -> str:
    """Return an example's question as it is shown to teachers and students.

    The same text everywhere: the context or premise line where there is one, the question, the
    lettered choices.
    """
    lines = []
    if example.family == "nli":
        lines = [f"Premise: {example.context}", f"Hypothesis: {example.question}"]
    else:
        lines = [f"Context: {example.context}"] if example.context else []
        lines.append(f"Question: {example.question}")
    lines.append(choices_text(example))
    return "\n".join(lines)


def choices_text(example: Example) -> str:
    """Return the last line of :func:`question_text`: the lettered choices."""
    shown = (
        f"({letter}) {choice}" for letter, choice in zip(LETTERS, example.choices, strict=False)
    )
    return f"Choices: {' '.join(shown)}"
