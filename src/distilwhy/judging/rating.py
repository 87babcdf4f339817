"""Ratings of single explanations, one call a construct, with the scale shown in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from distilwhy.config import ORDERS, JudgeSettings
from distilwhy.errors import StoppedError
from distilwhy.judging.judge import Judge
from distilwhy.judging.settings import decoding_of
from distilwhy.judging.verdicts import read_rating, shown
from distilwhy.judging.wording import rating_prompt
from distilwhy.records import Prediction
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.teacher import Teacher


@dataclass(frozen=True)
class Rated:
    """What a judge said of one explanation.

    Args:
        example_id: The example.
        rising: By construct, the ratings given with the scale shown from 1 to 5; ``None`` for a
            verdict that could not be read.
        falling: The same with the scale shown from 5 to 1.
    """

    example_id: str
    rising: Mapping[str, Sequence[int | None]]
    falling: Mapping[str, Sequence[int | None]]

    def values(self, construct: str) -> list[int]:
        """Return the ratings of a construct that could be read."""
        both = (*self.rising[construct], *self.falling[construct])
        return [value for value in both if value is not None]

    def mean(self, construct: str) -> float | None:
        """Return the mean rating of a construct, each order counting as much as the other.

        ``None`` where an order has no readable verdict: the order would count then.
        """
        means = self._by_order(construct)
        return None if None in means else fmean(value for value in means if value is not None)

    def order_shift(self, construct: str) -> float | None:
        """Return by how much a construct's rating is higher with the scale shown from 5 to 1."""
        rising, falling = self._by_order(construct)
        return None if rising is None or falling is None else falling - rising

    @property
    def asked(self) -> int:
        """Verdicts asked for."""
        return sum(len(values) for way in (self.rising, self.falling) for values in way.values())

    @property
    def unreadable(self) -> int:
        """Verdicts that could not be read."""
        return self.asked - sum(len(self.values(construct)) for construct in self.rising)

    def _by_order(self, construct: str) -> list[float | None]:
        read = [[v for v in way[construct] if v is not None] for way in (self.rising, self.falling)]
        return [fmean(values) if values else None for values in read]


@dataclass(frozen=True)
class Ratings:
    """What a judge said of a predictor's explanations.

    Args:
        items: One for each explanation, in the order given.
        cost: Texts, tokens and seconds.
        unreadable: The beginning of a verdict that could not be read, quoted and harmless.
    """

    items: Sequence[Rated]
    cost: TeachingCost
    unreadable: str | None = None


@dataclass
class _Verdicts:
    """Ratings as they come, by example and construct."""

    rising: dict[str, dict[str, list[int | None]]] = field(default_factory=dict)
    falling: dict[str, dict[str, list[int | None]]] = field(default_factory=dict)
    unreadable: str | None = None


def rate(predictions: Sequence[Prediction], judge: Judge) -> Ratings:
    """Have a judge rate explanations (LLM as a judge: Zheng et al. 2023, arXiv 2306.05685).

    Args:
        predictions: One predictor's predictions, each of another example and with an explanation.
        judge: The judge.

    Raises:
        StageError: When the judge leaves a prompt unanswered.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    calls = len(predictions) * judge.settings.samples
    with judge.asking(calls * len(judge.settings.constructs)) as teacher:
        try:
            return rate_through(teacher, predictions, judge.settings, judge.seed)
        except StoppedError as stop:
            stop.missing = teacher.missing(dict.fromkeys(judge.settings.constructs, calls))
            raise


def rate_through(
    teacher: Teacher, predictions: Sequence[Prediction], settings: JudgeSettings, seed: int
) -> Ratings:
    """Have explanations rated by what a store, or a stand-in for it, asks; as :func:`rate`."""
    found = _Verdicts()
    for construct in settings.constructs:
        for sample in range(settings.samples):
            is_falling = sample % ORDERS == 1
            prompts = {
                p.example.id: rating_prompt(p, construct, falling=is_falling) for p in predictions
            }
            rows = teacher.texts(prompts, decoding_of(settings, sample // ORDERS, seed), construct)
            way = found.falling if is_falling else found.rising
            for name, row in rows.items():
                value = read_rating(row.text, row.finish)
                way.setdefault(name, {}).setdefault(construct, []).append(value)
                if value is None and found.unreadable is None:
                    found.unreadable = shown(row.text)
    names = [prediction.example.id for prediction in predictions]
    items = [Rated(name, found.rising[name], found.falling[name]) for name in names]
    return Ratings(items, teacher.cost, found.unreadable)
