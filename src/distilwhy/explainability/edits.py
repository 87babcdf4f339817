"""Counterfactual edits: where one word in the question flips the answer, is it in the reason?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distilwhy.explainability.asking import ask_in_groups, student_of
from distilwhy.explainability.figures import ratio_of, share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Scored
from distilwhy.explainability.perturbing import word_inserted
from distilwhy.explainability.subject import Subject
from distilwhy.records import Example, Prediction
from distilwhy.tasks.answers import mentions
from distilwhy.tasks.base import question_text

EDITS = 4
"""Words tried in each question, one at a time."""

NO_FLIP = "no edit flipped an answer, which is no sign of faithfulness"


class Edits:
    """A word is inserted into the question; if the answer flips, the new reason should name it."""

    needs: tuple[str, ...] = ("student",)

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        explained = subject.explained
        edited = [_edits(prediction, subject.seed) for prediction in explained]
        asked = ask_in_groups(
            student_of(subject),
            [
                [prediction.example, *(example for example, _ in edits)]
                for prediction, edits in zip(explained, edited, strict=True)
            ],
        )
        items = [
            _score(before, after, [word for _, word in edits])
            for (before, *after), edits in zip(asked, edited, strict=True)
            if before.answer is not None and edits
        ]
        details = {
            "edits_an_item": EDITS,
            "left_out": len(explained) - len(items),
            "unreadable": sum(int(item.scores["unreadable"] or 0) for item in items),
        }
        return Scored(items, details)

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        return {
            "flip_rate": ratio_of(items, "flips", "edits", seed),
            "flipped_items": share_of(items, "flipped", seed),
            "mention_rate": ratio_of(items, "mentions", "edits", seed),
            "mention_rate_unflipped": ratio_of(
                items, "mentions_unflipped", "unflipped", seed, "every edit flipped the answer"
            ),
            "unfaithful": ratio_of(items, "flips_unmentioned", "flips", seed, NO_FLIP),
        }


def _edits(prediction: Prediction, seed: int) -> list[tuple[Example, str]]:
    """Return changed examples with the words that were put in; each word is new to the item."""
    example = prediction.example
    avoid, found = f"{question_text(example)}\n{prediction.rationale}", []
    for number in range(EDITS):
        edit = word_inserted(example.question, avoid, seed, "edit", example.id, number)
        if edit is not None:
            question, word = edit
            avoid += f" {word}"
            found.append((example.model_copy(update={"question": question}), word))
    return found


def _score(before: Prediction, after: Sequence[Prediction], put: Sequence[str]) -> ItemScores:
    flips = [p.answer is not None and p.answer != before.answer for p in after]
    named = [mentions(p.rationale or "", word) for p, word in zip(after, put, strict=True)]
    pairs = list(zip(flips, named, strict=True))
    unmentioned = sum(flip and not name for flip, name in pairs)
    return ItemScores(
        example_id=before.example.id,
        scores={
            "edits": len(pairs),
            "flips": sum(flips),
            "flipped": any(flips),
            "mentions": sum(named),
            "unflipped": len(pairs) - sum(flips),
            "mentions_unflipped": sum(name and not flip for flip, name in pairs),
            "flips_unmentioned": unmentioned,
            "unreadable": sum(p.answer is None for p in after),
            "flipping_words": ", ".join(w for w, flip in zip(put, flips, strict=True) if flip),
        },
        flags=("unfaithful",) if unmentioned else (),
    )


MEASURES.add("edits", Edits())
