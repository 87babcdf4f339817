"""Counterfactual following: does the answer follow a rationale that argues for another choice?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distilwhy.draws import draw
from distilwhy.explainability.asking import answers_behind, own_answers, student_read_by_rationale
from distilwhy.explainability.figures import share_of
from distilwhy.explainability.measures import MEASURES, Figure, ItemScores, Scored
from distilwhy.explainability.perturbing import exchanged
from distilwhy.explainability.subject import Subject
from distilwhy.records import Annotation, Example, Prediction
from distilwhy.tasks.answers import normalise, stated_answer


class Following:
    """A rationale for another choice is forced on the student; does its answer follow?"""

    # References are read where there are some.
    needs: tuple[str, ...] = ("student", "references|student")

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        student = student_read_by_rationale(subject)
        explained = subject.explained
        own = own_answers(student, explained)
        asked = [
            (prediction, answer, *_argued(prediction, answer, subject))
            for prediction, answer in zip(explained, own, strict=True)
            if answer is not None
        ]
        forced = answers_behind(student, [(p.example, [text]) for p, _, _, text, _ in asked])
        items = [
            _score(prediction.example.id, own_answer, target, after, source)
            for (prediction, own_answer, target, _, source), (after,) in zip(
                asked, forced, strict=True
            )
        ]
        details = {
            "probe": not student.answers_after_rationale,
            "no_own_answer": len(explained) - len(asked),
        }
        return Scored(items, details)

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        teacher, made = (
            [item for item in items if item.scores["source"] == source]
            for source in ("teacher", "made")
        )
        return {
            "followed": share_of(items, "followed", seed),
            "changed": share_of(items, "changed", seed),
            "followed_teacher": share_of(
                teacher, "followed", seed, "no text of the teacher argues for another choice"
            ),
            "followed_made": share_of(made, "followed", seed, "no rationale had to be made"),
        }


def _score(example_id: str, own: str, target: str, after: str | None, source: str) -> ItemScores:
    followed = after == target
    return ItemScores(
        example_id=example_id,
        scores={
            "own_answer": own,
            "target": target,
            "answer": after,
            "followed": followed,
            "changed": after != own,
            "source": source,
        },
        flags=() if followed else ("unfaithful",),
    )


def _argued(prediction: Prediction, own: str, subject: Subject) -> tuple[str, str, str]:
    """Return another choice, a rationale for it, and whose that is: the teacher's, or made."""
    example = prediction.example
    others = list(dict.fromkeys(c for c in example.choices if normalise(c) != normalise(own)))
    # Choices that differ in case only are one choice, unless there are no others.
    others = others or [choice for choice in example.choices if choice != own]
    texts = _by_teacher(example, subject.references.get(example.id))
    told = [choice for choice in others if choice in texts]
    target = draw(sorted(told or others), subject.seed, "following", example.id)
    if told:
        return target, texts[target], "teacher"
    text = exchanged(prediction.rationale or "", own, target)
    return target, text or f"Of all the choices, {target} fits what is asked best.", "made"


def _by_teacher(example: Example, reference: Annotation | None) -> dict[str, str]:
    """Return the teacher's rationale for each choice, those left out that state another answer."""
    if reference is None:
        return {}
    texts = dict(reference.counterfactuals)
    if reference.example.answer is not None and reference.rationale is not None:
        texts.setdefault(reference.example.answer, reference.rationale)
    return {
        choice: text.text
        for choice, text in texts.items()
        if text.text.strip() and stated_answer(text.text, example.choices) in (None, choice)
    }


MEASURES.add("following", Following())
