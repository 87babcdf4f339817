"""Preferences between predictors, asked in both orders, as Bradley-Terry strengths."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean

from pydantic import Field

from distilwhy.config import ORDERS, JudgeSettings
from distilwhy.errors import DataError, StoppedError
from distilwhy.judging.judge import Judge
from distilwhy.judging.settings import decoding_of
from distilwhy.judging.verdicts import Preferred, read_preference, shown
from distilwhy.judging.wording import pair_prompt
from distilwhy.records import Prediction, Record
from distilwhy.statistics.paired_comparisons import Comparison, Strengths, bradley_terry
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.teacher import Teacher

ALL = "all"
"""Name of the strengths over all constructs together."""

Pair = tuple[str, str]


class PairCount(Record):
    """How two predictors fared against each other in one construct.

    Args:
        first: One predictor.
        second: The other.
        wins: Comparisons in which both orders preferred the first.
        losses: Comparisons in which both orders preferred the second.
        ties: Comparisons in which the orders disagreed, or both said that they are equal.
        unreadable: Comparisons that do not count, as a verdict could not be read.
    """

    first: str
    second: str
    wins: int = 0
    losses: int = 0
    ties: int = 0
    unreadable: int = 0


class ConstructPreferences(Record):
    """Preferences in one construct, or in all together.

    Args:
        pairs: Counts by pair.
        raw: Bradley-Terry strengths.
        length_adjusted: Strengths of explanations that are equally long.
    """

    pairs: tuple[PairCount, ...]
    raw: Strengths
    length_adjusted: Strengths


class Preferences(Record):
    """What a judge prefers.

    Args:
        judge: Its model string.
        constructs: Preferences by construct; ``all`` for all together.
        verdicts: Verdicts asked for.
        unreadable: Of these, verdicts that could not be read.
        first_share: Share of the readable verdicts other than ties for what was shown first; 0.5
            without a bias of position. ``None`` where there are none.
        unreadable_text: The beginning of a verdict that could not be read, quoted and harmless.
        length_unit: Standard deviation of the difference in words, by which lengths were divided.
        cost: Texts, tokens and seconds.
        warnings: What speaks against this judge of these predictors, a sentence each.
    """

    judge: str
    constructs: dict[str, ConstructPreferences] = Field(default_factory=dict)
    verdicts: int
    unreadable: int
    first_share: float | None
    unreadable_text: str | None
    length_unit: float
    cost: TeachingCost
    warnings: tuple[str, ...] = ()


@dataclass
class _Heard:
    """Verdicts as they come: by construct, pair and question, one outcome a sample."""

    outcomes: dict[tuple[str, Pair, str], list[float | None]] = field(default_factory=dict)
    verdicts: Counter[Preferred | None] = field(default_factory=Counter)
    unreadable: str | None = None

    def read(self, text: str) -> Preferred | None:
        """Read a verdict and count it."""
        found = read_preference(text)
        self.verdicts[found] += 1
        if found is None and self.unreadable is None:
            self.unreadable = shown(text)
        return found


def prefer(predictors: Mapping[str, Sequence[Prediction]], judge: Judge) -> Preferences:
    """Have a judge compare each pair of predictors on each question that both explain.

    Both orders are asked; a judge that does not prefer the same explanation in both is taken to
    prefer neither (Zheng et al. 2023, arXiv 2306.05685, section 3.4). Strengths are Bradley-Terry's
    with ties as half wins. For length-adjusted ones, log odds also have a slope times
    ``tanh(difference in words / its standard deviation)`` (Dubois et al. 2024, arXiv 2404.04475).

    Args:
        predictors: Predictions by predictor, two or more; questions are told apart by their ids.
        judge: The judge; ``samples`` is the number of calls for a pair, question and construct.

    Raises:
        DataError: When there are fewer than two predictors, or two explain no common question.
        StageError: When the judge leaves a prompt unanswered.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    settings = judge.settings
    pairs = common(predictors)
    each = sum(len(questions) for questions in pairs.values())
    calls = each * settings.samples
    with judge.asking(calls * len(settings.constructs)) as teacher:
        try:
            return prefer_through(teacher, predictors, settings, judge.seed, judge.name)
        except StoppedError as stop:
            stop.missing = teacher.missing(dict.fromkeys(settings.constructs, calls))
            raise


def prefer_through(
    teacher: Teacher,
    predictors: Mapping[str, Sequence[Prediction]],
    settings: JudgeSettings,
    seed: int,
    name: str,
) -> Preferences:
    """Have pairs compared by what a store, or a stand-in for it, asks; as :func:`prefer`."""
    pairs, heard = common(predictors, part=True), _Heard()
    for construct in settings.constructs:
        for sample in range(settings.samples // ORDERS):
            decoding = decoding_of(settings, sample, seed)
            for pair, questions in pairs.items():
                there = {q: pair_prompt(a, b, construct) for q, (a, b) in questions.items()}
                back = {q: pair_prompt(b, a, construct) for q, (a, b) in questions.items()}
                forward = teacher.texts(there, decoding, construct)
                backward = teacher.texts(back, decoding, construct)
                for question in questions:
                    verdicts = (
                        heard.read(forward[question].text),
                        heard.read(backward[question].text),
                    )
                    key = (construct, pair, question)
                    heard.outcomes.setdefault(key, []).append(_outcome(*verdicts))
    return _preferences(heard, pairs, settings, name, teacher.cost)


def common(
    predictors: Mapping[str, Sequence[Prediction]], *, part: bool = False
) -> dict[Pair, dict[str, tuple[Prediction, Prediction]]]:
    """Return by pair of predictors what both explain, by question.

    Args:
        predictors: Predictions by predictor.
        part: Whether these are a sample, in which two may explain no common question.

    Raises:
        DataError: When there are fewer than two predictors, or two explain no common question.
    """
    if len(predictors) < 2:
        raise DataError("There is nothing to compare.", "Give two predictors or more.")
    explained = {
        name: {p.example.id: p for p in predictions if (p.rationale or "").strip()}
        for name, predictions in predictors.items()
    }
    found = {}
    for first, second in combinations(predictors, 2):
        both = {
            question: (prediction, explained[second][question])
            for question, prediction in explained[first].items()
            if question in explained[second]
        }
        if not both and not part:
            raise DataError(
                f"{first!r} and {second!r} explain no common question.",
                "Compare predictors on the same questions.",
            )
        found[first, second] = both
    return found


def _outcome(forward: Preferred | None, backward: Preferred | None) -> float | None:
    """Return 1 where both orders prefer the pair's first, 0 for its second, else a tie's 0.5."""
    if forward is None or backward is None:
        return None
    if (forward, backward) == ("first", "second"):
        return 1.0
    return 0.0 if (forward, backward) == ("second", "first") else 0.5


def _preferences(
    heard: _Heard,
    pairs: Mapping[Pair, Mapping[str, tuple[Prediction, Prediction]]],
    settings: JudgeSettings,
    name: str,
    cost: TeachingCost,
) -> Preferences:
    longer = {
        (pair, question): _words(a) - _words(b)
        for pair, questions in pairs.items()
        for question, (a, b) in questions.items()
    }
    unit = math.sqrt(fmean(value**2 for value in longer.values())) if longer else 0.0
    scaled = {key: math.tanh(value / unit) if unit else 0.0 for key, value in longer.items()}
    groups: dict[str, Sequence[str]] = {name: [name] for name in settings.constructs}
    if len(groups) > 1:
        groups[ALL] = settings.constructs
    first, second, unread = (heard.verdicts[key] for key in ("first", "second", None))
    return Preferences(
        judge=name,
        constructs={
            group: _of_group(heard, scaled, pairs, members) for group, members in groups.items()
        },
        verdicts=heard.verdicts.total(),
        unreadable=unread,
        first_share=first / (first + second) if first + second else None,
        unreadable_text=heard.unreadable,
        length_unit=unit,
        cost=cost,
    )


def _of_group(
    heard: _Heard,
    longer: Mapping[tuple[Pair, str], float],
    pairs: Mapping[Pair, object],
    constructs: Sequence[str],
) -> ConstructPreferences:
    counts = {pair: Counter[str]() for pair in pairs}
    comparisons = []
    words = {1.0: "wins", 0.0: "losses", 0.5: "ties", None: "unreadable"}
    for (construct, pair, question), outcomes in heard.outcomes.items():
        if construct not in constructs:
            continue
        counts[pair].update(words[outcome] for outcome in outcomes)
        read = [outcome for outcome in outcomes if outcome is not None]
        if read:
            comparisons.append(Comparison(*pair, fmean(read), question, longer[pair, question]))
    return ConstructPreferences(
        pairs=tuple(PairCount(first=a, second=b, **counts[a, b]) for a, b in counts),
        raw=bradley_terry(comparisons),
        length_adjusted=bradley_terry(comparisons, covariate=True),
    )


def _words(prediction: Prediction) -> int:
    return len((prediction.rationale or "").split())
