"""Robustness: with the choices in another order, does the answer stay, does the reason?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from distilwhy.draws import stable_number
from distilwhy.explainability.asking import ask_in_groups, student_of
from distilwhy.explainability.figures import mean_of, share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Scored
from distilwhy.explainability.subject import Subject
from distilwhy.records import Example, Prediction
from distilwhy.tasks.words import words


class Robustness:
    """The same question with every choice in another place."""

    needs: tuple[str, ...] = ("student",)

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        explained = subject.explained
        asked = ask_in_groups(
            student_of(subject),
            [[p.example, reordered(p.example, subject.seed)] for p in explained],
        )
        items = [_score(before, after) for before, after in asked if before.answer is not None]
        return Scored(items, {"left_out": len(explained) - len(items)})

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        kept = [item for item in items if item.scores["answer_stays"]]
        moved = [item for item in items if not item.scores["answer_stays"]]
        return {
            "answer_stays": share_of(items, "answer_stays", seed),
            "letter_stays": share_of(items, "letter_stays", seed),
            "reason_overlap": mean_of(items, "overlap", seed),
            "reason_overlap_same_answer": mean_of(kept, "overlap", seed, "no answer stays"),
            "reason_overlap_other_answer": mean_of(moved, "overlap", seed, "every answer stays"),
            "reason_stays": share_of(items, "reason_stays", seed),
        }


def reordered(example: Example, seed: int) -> Example:
    """Return an example with its choices in a drawn order, none of them where it stood."""
    places = range(len(example.choices))
    order = sorted(places, key=lambda place: stable_number(seed, "order", example.id, place))
    choices = list(example.choices)
    # Each choice of a drawn circle takes the place of the next: nothing stays where it was.
    for here, there in zip(order, [*order[1:], order[0]], strict=True):
        choices[there] = example.choices[here]
    return example.model_copy(update={"choices": tuple(choices)})


def overlap(one: str, other: str) -> float:
    """Return the F1 of the words that two texts share, from 0 to 1; 1 where neither has any."""
    first, second = Counter(words(one)), Counter(words(other))
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def _score(before: Prediction, after: Prediction) -> ItemScores:
    stays = after.answer == before.answer
    old, new = before.example, after.example
    letter = after.answer is not None and new.letter(after.answer) == old.letter(
        before.answer or ""
    )
    one, other = before.rationale or "", after.rationale or ""
    return ItemScores(
        example_id=old.id,
        scores={
            "answer_stays": stays,
            "letter_stays": letter,
            "overlap": overlap(one, other),
            "reason_stays": words(one) == words(other),
        },
        flags=() if stays else ("inconsistent",),
    )


MEASURES.add("robustness", Robustness())
