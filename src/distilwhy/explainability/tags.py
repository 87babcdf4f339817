"""Tag control: did the student learn to reason, or to read a tag?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distilwhy.errors import ModelError
from distilwhy.explainability.asking import student_of
from distilwhy.explainability.figures import mean_of, share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Score, Scored
from distilwhy.explainability.subject import Subject
from distilwhy.records import Prediction
from distilwhy.records import Tags as Tag

OTHERS: tuple[Tag, ...] = ("dropped", "swapped", "random")
NO_GOLD = "no right answer is known"
ONE_TAG = "the student learnt one tag only, so none can be swapped"


class Tags:
    """Asked without its tags, by each other's, and by words that are none."""

    needs: tuple[str, ...] = ("student",)

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        student = student_of(subject)
        examples = [prediction.example for prediction in subject.predictions]
        learnt, details = student.predict(examples), {}
        found: dict[Tag, list[Prediction]] = {}
        for tags in OTHERS:
            try:
                found[tags] = student.predict(examples, tags)
            except ModelError as error:
                if tags != "swapped":
                    raise
                details["swapped"] = error.message
        items = [
            _score(before, {tags: answers[place] for tags, answers in found.items()})
            for place, before in enumerate(learnt)
        ]
        return Scored(items, details)

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        figures = {"accuracy_learnt": share_of(items, "correct_learnt", seed, NO_GOLD)}
        for tags in OTHERS:
            asked = any(item.scores[f"changed_{tags}"] is not None for item in items)
            swap = tags == "swapped" and items and not asked
            known, unknown = (ONE_TAG, ONE_TAG) if swap else ("no item to judge", NO_GOLD)
            figures |= {
                f"accuracy_{tags}": share_of(items, f"correct_{tags}", seed, unknown),
                f"accuracy_lost_{tags}": mean_of(items, f"lost_{tags}", seed, unknown),
                f"changed_{tags}": share_of(items, f"changed_{tags}", seed, known),
                f"unreadable_{tags}": share_of(items, f"unreadable_{tags}", seed, known),
            }
        return figures


def _score(learnt: Prediction, others: Mapping[Tag, Prediction]) -> ItemScores:
    gold = learnt.example.answer is not None
    scores: dict[str, Score] = {"correct_learnt": learnt.correct if gold else None}
    for tags in OTHERS:
        found = others.get(tags)
        judged = found is not None and gold
        scores |= {
            f"correct_{tags}": found.correct if found and judged else None,
            f"lost_{tags}": learnt.correct - found.correct if found and judged else None,
            f"changed_{tags}": found.answer != learnt.answer if found else None,
            f"unreadable_{tags}": found.answer is None if found else None,
        }
    return ItemScores(example_id=learnt.example.id, scores=scores)


MEASURES.add("tags", Tags())
