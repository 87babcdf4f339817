"""Asking the teacher through the store: each prompt once, whatever was asked in earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from distilwhy.errors import StageError
from distilwhy.generators.base import Decoding
from distilwhy.generators.recorded import StoredText
from distilwhy.teaching.asking import Request, TextSource
from distilwhy.teaching.cost import CostTally, TeachingCost


class Teacher:
    """A teacher and what its texts cost.

    Args:
        source: Where texts come from: the store or, for what it lacks, the teacher.
        heard: Told of each text that arrives, with a note on how the asking goes.
    """

    def __init__(
        self, source: TextSource, heard: Callable[[str], None] = lambda note: None
    ) -> None:
        self._tally = CostTally()
        self._source = source
        self._heard = heard

    @property
    def cost(self) -> TeachingCost:
        """What the texts have cost so far."""
        return self._tally.cost(self._source.usd)

    @property
    def done(self) -> int:
        """Texts that there are so far."""
        return self._tally.texts

    @property
    def before(self) -> int:
        """Of these, texts that were not asked for now."""
        return self._tally.before

    def missing(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Return by step how many of the texts wanted are still missing."""
        return self._tally.missing(wanted)

    def texts(
        self, prompts: Mapping[str, str], decoding: Decoding, step: str
    ) -> dict[str, StoredText]:
        """Return the texts of prompts, from the store where it has them, else from the teacher.

        Args:
            prompts: Prompts by the id of the question that they are about.
            decoding: How texts are decoded.
            step: The step that asks.

        Raises:
            StageError: When the teacher leaves a prompt unanswered.
            StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
        """
        source = self._source
        keys = {about: source.key(prompt, decoding) for about, prompt in prompts.items()}
        missing: dict[str, Request] = {}
        # In the prompts' order, equal beginnings stand together.
        for about, prompt in sorted(prompts.items(), key=lambda pair: pair[1]):
            if source.get(keys[about]) is None:
                missing.setdefault(keys[about], Request(prompt, decoding, step, about))
        for row in source.ask(missing):
            self._tally.asked(step, row)
            self._heard(source.note)
        found: dict[str, StoredText] = {}
        for about, key in keys.items():
            text = source.get(key)
            if text is None:
                raise StageError(f"{source.name} left a prompt unanswered ({step}).")
            if key not in missing or missing[key].example != about:
                self._tally.from_store(step, text)
            found[about] = text
        return found
