"""A judge: a model whose verdicts are stored as they arrive, within a budget, as a teacher's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from distilwhy.config import JudgeSettings
from distilwhy.generators.base import Decoding, Generated, Generator
from distilwhy.teaching.asking import FREE, stored_teacher
from distilwhy.teaching.spending import Terms
from distilwhy.teaching.teacher import Teacher


class Judge:
    """A model that judges. It is a generator as well, whose texts are stored likewise.

    What was asked once, with the same prompt and decoding, is not asked again, by a run that was
    killed in between either.

    Args:
        generator: The model.
        settings: How it is asked.
        store_path: The store of its texts; shared stores are fine. ``None`` keeps them for as long
            as one run.
        terms: Budget and prices.
        seed: Seed of all draws.
    """

    def __init__(
        self,
        generator: Generator,
        settings: JudgeSettings | None = None,
        store_path: Path | None = None,
        terms: Terms = FREE,
        seed: int = 0,
    ) -> None:
        self.name = generator.name
        self.settings = settings or JudgeSettings(model=generator.name)
        self.seed = seed
        self._generator = generator
        self._store_path = store_path
        self._terms = terms

    @contextmanager
    def asking(self) -> Iterator[Teacher]:
        """Open the store and ask through it.

        Raises:
            DataError: When the store cannot be used, or another process has it open.
            StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
        """
        if self._store_path is None:
            with (
                TemporaryDirectory() as folder,
                self._stored(Path(folder) / "texts.jsonl") as asked,
            ):
                yield asked
        else:
            with self._stored(self._store_path) as asked:
                yield asked

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield the texts of prompts, from the store where it has them."""
        listed = {str(number): prompt for number, prompt in enumerate(prompts)}
        with self.asking() as asked:
            rows = asked.texts(listed, decoding, "judge")
        for number, row in rows.items():
            yield (
                int(number),
                Generated(
                    row.text, row.finish, row.prompt_tokens, row.completion_tokens, row.logprob
                ),
            )

    @contextmanager
    def _stored(self, path: Path) -> Iterator[Teacher]:
        with stored_teacher(self._generator, path, self._terms) as source:
            yield Teacher(source)


def as_judge(generator: Generator, seed: int = 0) -> Judge:
    """Return a generator as a judge; one that is none yet is asked with the default settings."""
    return generator if isinstance(generator, Judge) else Judge(generator, seed=seed)
