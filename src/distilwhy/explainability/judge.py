"""The five constructs of the human study, as a language model rates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from distilwhy.config import CONSTRUCTS
from distilwhy.explainability.figures import mean_of, scores_of
from distilwhy.explainability.measures import (
    MEASURES,
    Detail,
    Figure,
    ItemScores,
    NotApplicableError,
    Score,
    Scored,
)
from distilwhy.explainability.subject import Subject
from distilwhy.judging.judge import Judge, as_judge
from distilwhy.judging.kinship import family_warning
from distilwhy.judging.length import REFERENCE_WORDS, Sized, at_length
from distilwhy.judging.people import agreement, by_example, correlation
from distilwhy.judging.rating import Rated, Ratings, rate
from distilwhy.judging.wording import wording
from distilwhy.records import Prediction

QUALITY = "quality"
"""The mean of all constructs that are judged."""

NO_VERDICT = "no verdict could be read"
NOT_RATED = "no person rated these explanations"


class JudgeMeasure:
    """Ratings of a judge, raw and at one length, and people's agreement. Costs 10 calls an item."""

    needs: tuple[str, ...] = ("judge",)
    uses: tuple[str, ...] = ("references", "ratings")

    @property
    def wording(self) -> str:
        """See :class:`Measure`."""
        return wording().digest

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        explained = subject.explained
        if not explained:
            raise NotApplicableError("It gives no explanation that could be rated.")
        assert subject.judge is not None  # the measure needs it
        judge = as_judge(subject.judge, subject.seed)
        found = rate(explained, judge)
        people = by_example(explained, subject.ratings)
        words = _reference(subject)
        return Scored(
            [
                _item(prediction, rated, words, people.get(rated.example_id, {}))
                for prediction, rated in zip(explained, found.items, strict=True)
            ],
            _details(judge, found, subject, words, len(people)),
        )

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        judged = [n for n in CONSTRUCTS if not items or any(n in item.scores for item in items)]
        figures: dict[str, Figure] = {}
        for name in [*judged, QUALITY]:
            figures[name] = mean_of(items, name, seed, NO_VERDICT)
            figures[f"{name}_length_adjusted"] = _adjusted(items, name)
        figures["order_shift"] = mean_of(items, "order_shift", seed, NO_VERDICT)
        figures["unreadable"] = mean_of(items, "unreadable", seed)
        if any(f"people_{name}" in item.scores for item in items for name in CONSTRUCTS):
            for name in [*judged, QUALITY]:
                figures.update(_agreement(items, name, seed))
        return figures


def _item(
    prediction: Prediction, rated: Rated, words: float, people: Mapping[str, Sequence[int]]
) -> ItemScores:
    constructs = list(rated.rising)
    means = {name: rated.mean(name) for name in constructs}
    known = [value for value in means.values() if value is not None]
    shifts = [s for name in constructs if (s := rated.order_shift(name)) is not None]
    scores: dict[str, Score] = {
        **means,
        QUALITY: fmean(known) if len(known) == len(constructs) else None,
        "order_shift": fmean(shifts) if shifts else None,
        "unreadable": rated.unreadable / rated.asked,
        "words": len((prediction.rationale or "").split()),
        "reference_words": words,
    }
    for name in constructs:
        if people.get(name):
            scores[f"people_{name}"] = fmean(people[name])
    if all(people.get(name) for name in constructs):
        scores[f"people_{QUALITY}"] = fmean(fmean(people[name]) for name in constructs)
    flags = ("verdict unreadable",) if rated.unreadable else ()
    return ItemScores(example_id=rated.example_id, scores=scores, flags=flags)


def _adjusted(items: Sequence[ItemScores], name: str) -> Figure:
    """Return the mean rating at the reference length."""
    sized = [
        Sized(item.example_id, int(words[0]), scores[0])
        for item in items
        if (scores := scores_of([item], name)) and (words := scores_of([item], "words"))
    ]
    if not sized:
        return Figure(value=None, n=0, reason=NO_VERDICT)
    found = at_length(sized, scores_of(items, "reference_words")[0])
    if isinstance(found, str):
        return Figure(value=None, n=len(sized), reason=found)
    return Figure(value=found.value, n=len(sized), ci_low=found.ci_low, ci_high=found.ci_high)


def _agreement(items: Sequence[ItemScores], name: str, seed: int) -> dict[str, Figure]:
    """Return how far people's ratings of a construct are the judge's."""
    pairs = [
        (ours[0], theirs[0])
        for item in items
        if (ours := scores_of([item], name)) and (theirs := scores_of([item], f"people_{name}"))
    ]
    alpha, rho = agreement(pairs, seed), correlation(pairs, seed)
    return {
        f"{name}_alpha": Figure(
            value=alpha.alpha,
            n=len(pairs),
            ci_low=alpha.ci_low,
            ci_high=alpha.ci_high,
            reason=alpha.reason if pairs else NOT_RATED,
        ),
        f"{name}_spearman": Figure(
            value=rho.rho,
            n=rho.n,
            ci_low=rho.ci_low,
            ci_high=rho.ci_high,
            reason=rho.reason if pairs else NOT_RATED,
        ),
    }


def _reference(subject: Subject) -> float:
    """Return the mean words of the teacher's texts of the same questions, else a constant."""
    asked = {prediction.example.id for prediction in subject.explained}
    texts = [
        annotation.rationale.text
        for name, annotation in subject.references.items()
        if name in asked and annotation.rationale is not None
    ]
    return fmean(len(text.split()) for text in texts) if texts else REFERENCE_WORDS


def _details(
    judge: Judge, found: Ratings, subject: Subject, words: float, people: int
) -> dict[str, Detail]:
    verdicts = sum(item.asked for item in found.items)
    unreadable = sum(item.unreadable for item in found.items)
    return {
        "judge": judge.name,
        "samples": judge.settings.samples,
        "temperature": judge.settings.temperature,
        "wording_version": wording().version,
        "verdicts": verdicts,
        "unreadable": unreadable,
        "unreadable_text": found.unreadable,
        "reference_words": words,
        "rated_by_people": people,
        "usd": found.cost.usd,
        "warning": family_warning(judge.name, subject.base),
    }


MEASURES.add("judge", JudgeMeasure())
