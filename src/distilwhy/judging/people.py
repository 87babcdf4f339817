"""How far a judge agrees with people who rated the same explanations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from distilwhy.human_study.ratings import read_rated_texts
from distilwhy.records import Prediction, Record
from distilwhy.statistics.agreement import Agreement, krippendorff_alpha
from distilwhy.statistics.values import all_equal
from distilwhy.tasks.words import collapse

LEAST = 3  # explanations below which a correlation says nothing
LEVEL = 0.95
RESAMPLES = 2000


class HumanRating(Record):
    """One person's rating of one explanation.

    Args:
        explanation: Its text.
        question: The question that it is about, where the table tells.
        values: Ratings from 1 to 5 by construct; missing ones are left out.
    """

    explanation: str
    question: str | None = None
    values: dict[str, int]


class RankCorrelation(Record):
    """Spearman's rank correlation.

    Args:
        rho: The correlation; ``None`` where it is not computable, like the interval.
        ci_low: Lower end of its 95 % percentile bootstrap interval over explanations.
        ci_high: Its upper end.
        n: Explanations.
        reason: Why there is no result; ``None`` where there is one.
    """

    rho: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    reason: str | None = None


def read_human_ratings(path: Path) -> list[HumanRating]:
    """Read people's ratings from a table with the study's columns.

    ``rationale`` and one or more constructs must be there, in any case; ``question`` may be.

    Args:
        path: A CSV, TSV, JSON, JSONL or Parquet table, one row a rated explanation.

    Raises:
        DataError: Naming the columns that are missing, or all cells that cannot be used.
    """
    return [
        HumanRating(explanation=row.rationale, question=row.question, values=dict(row.values))
        for row in read_rated_texts(path)
    ]


def by_example(
    predictions: Sequence[Prediction], ratings: Iterable[HumanRating]
) -> dict[str, dict[str, list[int]]]:
    """Return people's ratings of predictions, by example and construct.

    A rating belongs to a prediction whose explanation has the same text, white space and case
    aside, and whose question does, where the rating names one.

    Args:
        predictions: One predictor's predictions.
        ratings: The ratings.
    """
    known: dict[str, list[HumanRating]] = defaultdict(list)
    for rating in ratings:
        known[_form(rating.explanation)].append(rating)
    found: dict[str, dict[str, list[int]]] = {}
    for prediction in predictions:
        question = _form(prediction.example.question)
        for rating in known.get(_form(prediction.rationale or ""), ()):
            if rating.question is None or _form(rating.question) == question:
                there = found.setdefault(prediction.example.id, {})
                for construct, value in rating.values.items():
                    there.setdefault(construct, []).append(value)
    return found


def _form(text: str) -> str:
    return collapse(text).casefold()


def agreement(pairs: Sequence[tuple[float, float]], seed: int = 0) -> Agreement:
    """Return Krippendorff's alpha (ordinal) of a judge and people, two raters of each explanation.

    Args:
        pairs: Of each explanation, the judge's mean rating and people's.
        seed: Seed of the bootstrap.
    """
    return krippendorff_alpha(pairs, "ordinal", seed)


def correlation(pairs: Sequence[tuple[float, float]], seed: int = 0) -> RankCorrelation:
    """Return Spearman's rank correlation of a judge's ratings and people's.

    Args: as of :func:`agreement`.
    """
    import numpy as np
    from scipy.stats import rankdata, spearmanr

    n = len(pairs)
    if n < LEAST:
        return RankCorrelation(n=n, reason=f"fewer than {LEAST} explanations were rated by both")
    ours, theirs = np.asarray(pairs, dtype=float).T
    for who, values in (("the judge's", ours), ("people's", theirs)):
        if all_equal(values.tolist()):
            return RankCorrelation(n=n, reason=f"all of {who} ratings are equal")

    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    ranks = [rankdata(values[drawn], axis=1) - (n + 1) / 2 for values in (ours, theirs)]
    sizes = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    # A resample of equal ratings has no correlation.
    kept = (ranks[0] * ranks[1]).sum(axis=1)[sizes > 0] / sizes[sizes > 0]
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return RankCorrelation(
        rho=float(spearmanr(ours, theirs).statistic), ci_low=float(low), ci_high=float(high), n=n
    )


def pairs_of(
    ours: Mapping[str, float], theirs: Mapping[str, Sequence[float]]
) -> list[tuple[float, float]]:
    """Return a judge's ratings beside the means of people's, of examples that both rated."""
    return [(value, fmean(theirs[name])) for name, value in ours.items() if theirs.get(name)]
