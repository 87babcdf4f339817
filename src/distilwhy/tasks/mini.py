"""The mini task: 250 everyday questions of our own, shipped for demonstrations and tests."""

from __future__ import annotations

from importlib.resources import as_file, files

from distilwhy.files import read_records
from distilwhy.records import Example, Family
from distilwhy.tasks.base import TASKS, Split
from distilwhy.tasks.rows import draw


class MiniTask:
    """A small multiple-choice task, five choices a question, read from the package itself.

    It shows that everything works; a result on 80 test questions says little about a method.
    """

    name = "mini"
    family: Family = "multiple_choice"

    def load(self, split: Split, limit: int | None = None, seed: int = 0) -> list[Example]:
        """Return the examples of a split; see :class:`distilwhy.tasks.base.Task`."""
        with as_file(files("distilwhy.tasks") / "mini_data" / f"{split}.jsonl") as path:
            return draw(read_records(path, Example), limit, seed)


TASKS.add("mini", MiniTask())
