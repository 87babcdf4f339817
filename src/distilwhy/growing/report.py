"""What was asked for, what was kept, and why the rest was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from distilwhy.growing.limits import Fault
from distilwhy.records import LETTERS, Example, Record

OF_TEST, OF_SEED, OF_GROWN = (f"near-duplicate of a {what}" for what in ("test", "seed", "grown"))
OTHER_ANSWER, UNDECIDED = "teacher answers otherwise", "teacher undecided"
SURPLUS = "not needed"
REASONS: tuple[str, ...] = (
    *get_args(Fault),
    OF_TEST,
    OF_SEED,
    OF_GROWN,
    OTHER_ANSWER,
    UNDECIDED,
    SURPLUS,
)
"""Why a question is not kept, in the order of the checks."""


class Rejected(Record):
    """A question that was not kept.

    Args:
        request: Its number, from 0.
        reason: Why, one of :data:`REASONS`.
        detail: The part at fault, the twin, or the answers given.
        text: The teacher's text as it was.
    """

    request: int
    reason: str
    detail: str
    text: str


class SplitCounts(Record):
    """How a split is balanced.

    Args:
        n: Examples.
        labels: Examples by label; empty where questions have choices of their own.
        positions: Examples by the letter of the right answer; empty with labels.
    """

    n: int
    labels: dict[str, int]
    positions: dict[str, int]


class GrowthReport(Record):
    """What became of all questions asked for.

    Args:
        wanted: Examples wanted.
        kept: Examples kept, both splits together.
        requested: Questions asked for.
        most_requests: The limit on these.
        reasons: Questions not kept, by reason; ``requested`` is their sum and ``kept``.
        splits: Balance by split.
        agreement: Mean share of the teacher's answers that are the kept examples' own.
    """

    wanted: int
    kept: int
    requested: int
    most_requests: int
    reasons: dict[str, int]
    splits: dict[str, SplitCounts]
    agreement: float | None

    @property
    def whole(self) -> bool:
        """Whether all examples wanted are there."""
        return self.kept == self.wanted

    def table(self) -> str:
        """Return the report as a table of plain text."""
        return "\n".join(
            f"{name:<28} {number:>7} {share:>7}" for name, number, share in self._rows()
        )

    def _rows(self) -> Iterator[tuple[str, int, str]]:
        yield "questions asked for", self.requested, ""
        for reason, count in self.reasons.items():
            yield f"  {reason}", count, f"{count / self.requested:.1%}"
        yield "kept", self.kept, f"{self.kept / self.requested:.1%}" if self.requested else ""
        for split, counts in self.splits.items():
            yield f"  {split}", counts.n, ""
            for name, count in (counts.labels or counts.positions).items():
                yield f"    {name}", count, ""


def counts_of(examples: Sequence[Example], labels: Sequence[str]) -> SplitCounts:
    """Return how a split is balanced."""
    answers = Counter(str(example.answer) for example in examples)
    if labels:
        return SplitCounts(
            n=len(examples), labels={label: answers[label] for label in labels}, positions={}
        )
    widest = max((len(example.choices) for example in examples), default=0)
    letters = Counter(example.letter(str(example.answer)) for example in examples)
    positions = {letter: letters[letter] for letter in LETTERS[:widest]}
    return SplitCounts(n=len(examples), labels={}, positions=positions)


def count_reasons(rejected: Iterable[Rejected]) -> dict[str, int]:
    """Return how many questions were rejected for each reason, in the order of the checks."""
    counts: dict[str, int] = Counter(item.reason for item in rejected)
    return {reason: counts[reason] for reason in REASONS if reason in counts}
