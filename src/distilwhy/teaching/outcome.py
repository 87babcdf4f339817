"""What the methods of generation brought: own answers, rationales kept, rounds used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distilwhy.config import TeachingSettings
from distilwhy.records import Record
from distilwhy.teaching.drafts import Draft
from distilwhy.teaching.own_answers import leading, majority, needs_own_answers


class OwnAnswers(Record):
    """How the teacher answered without knowing the right answer.

    Args:
        questions: Questions asked.
        answered: Of these, with an answer that could be read; their majority is the answer.
        gold_known: Of these, with a gold answer to compare with.
        agree_with_gold: Of these, answered as gold says.
    """

    questions: int
    answered: int
    gold_known: int
    agree_with_gold: int


class OwnRationales(Record):
    """What became of the reasons that the teacher gave for its own answers.

    Args:
        samples: Reasons asked for.
        leading: Of these, not empty and leading to the label.
        questions: Questions asked.
        kept: Of these, with a rationale that was kept.
    """

    samples: int
    leading: int
    questions: int
    kept: int


class RoundsUsed(Record):
    """How many rounds of critique and revision took place.

    Args:
        examples: By number of rounds, how many examples had so many.
        settled: Examples that a further round would not have changed.
    """

    examples: dict[int, int]
    settled: int


class Outcome(Record):
    """What the methods of generation brought; ``None`` where one was not used."""

    own_answers: OwnAnswers | None = None
    own_rationales: OwnRationales | None = None
    rounds: RoundsUsed | None = None


def outcome_of(drafts: Sequence[Draft], settings: TeachingSettings) -> Outcome:
    """Return what the methods brought.

    Args:
        drafts: All drafts, those that the teacher gave no label among them.
        settings: The methods used.
    """
    labelled = [draft for draft in drafts if draft.example.answer is not None]
    own = settings.rationales_from == "own_answer"
    return Outcome(
        own_answers=_answers(drafts) if needs_own_answers(settings) else None,
        own_rationales=_rationales(drafts, labelled) if own else None,
        rounds=_rounds(labelled) if settings.critique_rounds > 1 else None,
    )


def _answers(drafts: Sequence[Draft]) -> OwnAnswers:
    answered = [draft for draft in drafts if majority(draft.answers) is not None]
    known = [draft for draft in answered if draft.gold is not None]
    return OwnAnswers(
        questions=len(drafts),
        answered=len(answered),
        gold_known=len(known),
        agree_with_gold=sum(majority(draft.answers) == draft.gold for draft in known),
    )


def _rationales(drafts: Sequence[Draft], labelled: Sequence[Draft]) -> OwnRationales:
    return OwnRationales(
        samples=sum(len(draft.answers) for draft in drafts),
        leading=sum(len(leading(draft)) for draft in labelled),
        questions=len(drafts),
        kept=sum(draft.kept for draft in labelled),
    )


def _rounds(drafts: Sequence[Draft]) -> RoundsUsed:
    counts = Counter(len(draft.rounds) for draft in drafts)
    return RoundsUsed(
        examples={number: counts[number] for number in sorted(counts)},
        settled=sum(draft.settled for draft in drafts),
    )
