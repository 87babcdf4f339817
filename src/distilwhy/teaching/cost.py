"""What the teacher cost: texts and tokens by step, asked now or taken from the store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from distilwhy.generators.recorded import StoredText
from distilwhy.records import Record


class StepCost(Record):
    """Texts and tokens of one step.

    Args:
        texts: Texts wanted.
        asked: Of these, asked in this run.
        from_store: Of these, answered by an earlier run, or by an equal prompt of this one.
        skipped: Of these, not asked: what they build on is missing or empty, or there was no more
            need of them (settled rounds, rationales that are kept already).
        refused: Of these, refused by the teacher, e.g. as their prompts are too long for it.
        prompt_tokens: Prompt tokens asked in this run; a shared prefix counts in each prompt.
        completion_tokens: Tokens generated in this run.
        stored_prompt_tokens: Prompt tokens behind the texts from the store.
        stored_completion_tokens: Tokens of the texts from the store.
    """

    texts: int = 0
    asked: int = 0
    from_store: int = 0
    skipped: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stored_prompt_tokens: int = 0
    stored_completion_tokens: int = 0


class TeachingCost(Record):
    """What an annotation run cost.

    Args:
        seconds: Wall time of this run, loading the model not counted.
        steps: Cost by step; steps that were not run are left out.
        usd: Money spent by this and earlier runs, at the prices given; ``None`` without prices.
    """

    seconds: float
    steps: dict[str, StepCost]
    usd: float | None = None

    @property
    def total(self) -> StepCost:
        """The sum over all steps."""
        sums = Counter[str]()
        for cost in self.steps.values():
            sums.update(cost.model_dump())
        return StepCost(**sums)


class CostTally:
    """Adds up the cost of a run while it goes on."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._steps: dict[str, Counter[str]] = {}

    def asked(self, step: str, text: StoredText) -> None:
        """Count a text that the teacher was asked for now."""
        self._add(
            step,
            asked=1,
            prompt_tokens=text.prompt_tokens,
            completion_tokens=text.completion_tokens,
        )

    def from_store(self, step: str, text: StoredText) -> None:
        """Count a text that was there already."""
        self._add(
            step,
            from_store=1,
            stored_prompt_tokens=text.prompt_tokens,
            stored_completion_tokens=text.completion_tokens,
        )

    def skipped(self, step: str) -> None:
        """Count a text that was not asked for."""
        self._add(step, skipped=1)

    def refused(self, step: str) -> None:
        """Count a text that the teacher refused to write."""
        self._add(step, refused=1)

    @property
    def texts(self) -> int:
        """Texts done so far, of all steps."""
        return sum(counts["texts"] for counts in self._steps.values())

    @property
    def before(self) -> int:
        """Of these, texts that were not asked for now."""
        return self.texts - sum(counts["asked"] for counts in self._steps.values())

    def missing(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Return by step how many texts are still missing.

        Args:
            wanted: By step, how many texts there are in the end.
        """
        return {step: n - self._steps.get(step, Counter())["texts"] for step, n in wanted.items()}

    def cost(self, usd: float | None = None) -> TeachingCost:
        """Return the cost so far.

        Args:
            usd: Money spent, over all runs.
        """
        return TeachingCost(
            usd=usd,
            seconds=time.monotonic() - self._start,
            steps={step: StepCost(**counts) for step, counts in self._steps.items()},
        )

    def _add(self, step: str, **amounts: int) -> None:
        self._steps.setdefault(step, Counter()).update({"texts": 1} | amounts)
