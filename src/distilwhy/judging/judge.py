"""A judge: a model whose verdicts are stored as they arrive, within a budget, as a teacher's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from distilwhy.config import JudgeSettings
from distilwhy.errors import StoppedError
from distilwhy.generators.base import Decoding, Generated, Generator
from distilwhy.progress import progress_bar, say
from distilwhy.teaching.asking import FREE, stored_teacher
from distilwhy.teaching.spending import Terms
from distilwhy.teaching.teacher import Teacher

BUDGET = "judge.budget"
"""Where its budget stands in a file of the fields of ``explanations``."""


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
        self.refused = 0
        """Prompts of the last run that the model refused, and may answer another time."""
        self._generator = generator
        self._store_path = store_path
        self._terms = terms

    @contextmanager
    def asking(self, wanted: int) -> Iterator[Teacher]:
        """Open the store and ask through it.

        Args:
            wanted: How many verdicts are wanted, for the progress bar.

        Raises:
            DataError: When the store cannot be used, or another process has it open.
            StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
        """
        with ExitStack() as stack:
            path = self._store_path
            if path is None:
                path = Path(stack.enter_context(TemporaryDirectory())) / "verdicts.jsonl"
            source = stack.enter_context(stored_teacher(self._generator, path, self._terms))
            advance = stack.enter_context(progress_bar("verdicts", wanted))

            def heard(note: str) -> None:
                advance(teacher.done, note=note, before=teacher.before)

            teacher = Teacher(source, heard)
            try:
                yield teacher
            except StoppedError as stop:
                stop.budget = BUDGET
                if self._store_path is None:
                    say("No output was named beside which to keep the verdicts: they are lost.")
                raise
            finally:
                self.refused = len(source.refused)

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield the texts of prompts, from the store where it has them."""
        listed = {str(number): prompt for number, prompt in enumerate(prompts)}
        with self.asking(len(listed)) as asked:
            rows = asked.texts(listed, decoding, "judge")
        for number, row in rows.items():
            yield (
                int(number),
                Generated(
                    row.text, row.finish, row.prompt_tokens, row.completion_tokens, row.logprob
                ),
            )


def as_judge(generator: Generator, seed: int = 0) -> Judge:
    """Return a generator as a judge; one that is none yet is asked with the default settings."""
    return generator if isinstance(generator, Judge) else Judge(generator, seed=seed)
