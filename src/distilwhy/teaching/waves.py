"""A wave of prompts: each text comes from the store where it is there, else from the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distilwhy.config import TeachingSettings
from distilwhy.errors import StageError
from distilwhy.generators.recorded import StoredText
from distilwhy.progress import Advance
from distilwhy.prompts.wording import shown_question
from distilwhy.records import Example, TeacherText
from distilwhy.teaching.asking import Request, TextSource
from distilwhy.teaching.cost import CostTally
from distilwhy.teaching.gates import teacher_text
from distilwhy.teaching.samples import (
    SELECTIONS,
    Sample,
    mean_likelihood,
    sample_decodings,
)
from distilwhy.teaching.steps import StepPrompt


@dataclass(frozen=True)
class Wanted:
    """A text that is wanted: what is asked, and about which example."""

    example: Example
    prompt: StepPrompt

    @property
    def place(self) -> tuple[str, int, str, int]:
        """Where it stands among others: prompts with the most in common are next to each other."""
        question = len(shown_question(self.example))
        return self.prompt.prefix, question, self.example.id, len(self.prompt.prompt)


@dataclass(frozen=True)
class TeachingRun:
    """What one annotation run works with.

    Args:
        source: Where texts come from: the store or, for what it lacks, the teacher.
        settings: Steps, methods and decoding.
        seed: The experiment's seed.
        tally: Counts what is asked, found and skipped.
        total: Texts wanted in all, samples and skipped ones counted.
        progress: Told how far the run is.
    """

    source: TextSource
    settings: TeachingSettings
    seed: int
    tally: CostTally
    total: int
    progress: Advance | None = None

    def texts(self, wanted: Sequence[Wanted]) -> list[TeacherText]:
        """Return one text for each prompt, cleaned and gated, chosen among its samples."""
        select = SELECTIONS[self.settings.selection]
        return [
            select([sample_of(row, one.prompt, one.example) for row in rows]).text
            for one, rows in zip(wanted, self.samples(wanted), strict=True)
        ]

    def samples(self, wanted: Sequence[Wanted]) -> list[list[StoredText]]:
        """Return all samples of each prompt, as the teacher wrote them.

        Equal prefixes are asked together, then the questions by their length, each with all that is
        asked of it; one sample of all prompts after the other.

        Raises:
            StageError: When the teacher leaves prompts unanswered.
        """
        decodings = [sample_decodings(w.prompt.decoding, self.settings, self.seed) for w in wanted]
        requests = [
            [Request(w.prompt.prompt, how, w.prompt.step, w.example.id) for how in hows]
            for w, hows in zip(wanted, decodings, strict=True)
        ]
        order = sorted(range(len(wanted)), key=lambda place: wanted[place].place)
        for number in range(self.samples_each):
            self._ask([requests[place][number] for place in order])
        return [[self._stored(request) for request in row] for row in requests]

    def skip(self, step: str, texts: int) -> None:
        """Count texts that are not asked for."""
        for _ in range(texts * self.samples_each):
            self.tally.skipped(step)

    @property
    def samples_each(self) -> int:
        """How many samples there are of each text."""
        return self.settings.samples

    def _ask(self, requests: Sequence[Request]) -> None:
        """Ask for texts as far as they are not there, and count all; they are decoded alike."""
        missing: dict[str, Request] = {}
        repeated: list[tuple[str, str]] = []
        for request in requests:
            key = self._key(request)
            if key in missing:
                repeated.append((key, request.step))
            elif (stored := self.source.get(key)) is not None:
                self.tally.from_store(request.step, stored)
            else:
                missing[key] = request
        for row in self.source.ask(missing):
            step = missing[row.key].step
            if row.key in self.source.refused:
                self.tally.refused(step)
            else:
                self.tally.asked(step, row)
            self._report()
        for key, step in repeated:
            if (stored := self.source.get(key)) is not None:
                self.tally.from_store(step, stored)
        self._report()

    def _key(self, request: Request) -> str:
        return self.source.key(request.prompt, request.decoding)

    def _stored(self, request: Request) -> StoredText:
        row = self.source.get(self._key(request))
        if row is None:
            raise StageError(f"{self.source.name} left a prompt unanswered ({request.step}).")
        return row

    def _report(self) -> None:
        """Tell how far the run is."""
        if self.progress is not None:
            tally = self.tally
            self.progress(tally.texts, self.total, self.source.note, tally.before)


def sample_of(row: StoredText, prompt: StepPrompt, example: Example) -> Sample:
    """Return a stored text as a sample to choose among."""
    text = teacher_text(
        row.text,
        prompt.step,
        example,
        prompt.target,
        row.finish,
        row.prompt_tokens,
        row.completion_tokens,
    )
    return Sample(text, mean_likelihood(row))
