"""Perturbed rationales: how often does the answer change when the rationale is spoilt?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from distilwhy.draws import draw
from distilwhy.explainability.asking import answers_behind, own_answers, student_read_by_rationale
from distilwhy.explainability.figures import mean_of, share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Scored
from distilwhy.explainability.perturbing import (
    exchanged,
    filler,
    first_words,
    half_replaced,
    negated,
)
from distilwhy.explainability.subject import Subject
from distilwhy.records import Example

SHARES = (0.0, 0.25, 0.5, 0.75)
"""Shares of a rationale's words that are kept; all of them are the answer compared with."""

CUTS = tuple(f"cut_to_{share * 100:.0f}" for share in SHARES)
NO_MISTAKE = "no rationale names its answer or has a verb that can be denied"


class Perturbation:
    """Cut short, half replaced, with a mistake, or filler only: does the answer change?"""

    needs: tuple[str, ...] = ("student",)

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        student = student_read_by_rationale(subject)
        explained = subject.explained
        asked = [
            (p.example, p.rationale or "", answer)
            for p, answer in zip(explained, own_answers(student, explained), strict=True)
            if answer is not None
        ]
        texts = [_perturbed(*item, subject.seed) for item in asked]
        found = answers_behind(
            student,
            [(item[0], list(changed.values())) for item, changed in zip(asked, texts, strict=True)],
        )
        items = [
            _score(*item, dict(zip(changed, answers, strict=True)))
            for item, changed, answers in zip(asked, texts, found, strict=True)
        ]
        kinds = Counter(str(item.scores["mistake_by"]) for item in items)
        details = {
            "probe": not student.answers_after_rationale,
            "no_own_answer": len(explained) - len(asked),
            "mistakes_by_exchange": kinds["exchange"],
            "mistakes_by_negation": kinds["negation"],
        }
        return Scored(items, details)

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        figures = {name: share_of(items, name, seed) for name in CUTS}
        figures["area_over_curve"] = mean_of(items, "area_over_curve", seed)
        figures["half_replaced"] = share_of(items, "half_replaced", seed)
        figures["mistake"] = share_of(items, "mistake", seed, NO_MISTAKE)
        figures["filler"] = share_of(items, "filler", seed)
        return figures


def area_over_curve(same: Sequence[bool]) -> float:
    """Return the area over one item's curve of unchanged answers, by the trapezoid rule.

    Args:
        same: Whether the answer is that behind the whole rationale, for each of :data:`SHARES`.

    Returns:
        From 0 (never changed) to 0.875 (changed by every cut).
    """
    heights = [*(1.0 - value for value in same), 0.0]
    ends = [*SHARES, 1.0]
    return sum(
        (ends[k + 1] - ends[k]) * (heights[k] + heights[k + 1]) / 2 for k in range(len(SHARES))
    )


def _perturbed(example: Example, text: str, own: str, seed: int) -> dict[str, str]:
    changed = {name: first_words(text, share) for name, share in zip(CUTS, SHARES, strict=True)}
    changed["half_replaced"] = half_replaced(text, example.choices, seed, "half", example.id)
    changed["filler"] = filler(text)
    others = sorted(set(example.choices) - {own})
    other = draw(others, seed, "mistake", example.id)
    if (exchange := exchanged(text, own, other)) is not None:
        changed["exchange"] = exchange
    elif (negation := negated(text)) is not None:
        changed["negation"] = negation
    return changed


def _score(example: Example, text: str, own: str, answers: Mapping[str, str | None]) -> ItemScores:
    changed = {name: answer != own for name, answer in answers.items()}
    by = next((kind for kind in ("exchange", "negation") if kind in changed), None)
    return ItemScores(
        example_id=example.id,
        scores={
            **{name: changed[name] for name in (*CUTS, "half_replaced", "filler")},
            "mistake": changed[by] if by else None,
            "mistake_by": by,
            "area_over_curve": area_over_curve([not changed[name] for name in CUTS]),
            "words": len(text.split()),
        },
        flags=() if any(changed.values()) else ("unfaithful",),
    )


MEASURES.add("perturbation", Perturbation())
