"""The figures that summarise one predictor's predictions: the content of metrics.json."""

from __future__ import annotations

from pydantic import Field

from distilwhy.records import PredictionSummary, Record, TrainingSummary


class ClassMetrics(Record):
    """Results for one class (a label, or a position of the right choice where labels vary).

    Args:
        n: Examples whose gold label is this class.
        accuracy: Share of them answered rightly (recall); ``None`` when there are none.
        predicted: Examples answered with this class.
    """

    n: int
    accuracy: float | None = None
    predicted: int


class Group(Record):
    """Accuracy on one kind of question.

    Args:
        n: Examples.
        accuracy: Share answered rightly.
        ci_low: Lower end of the 95 % interval.
        ci_high: Its upper end.
    """

    n: int
    accuracy: float
    ci_low: float
    ci_high: float


class PositionBias(Record):
    """Whether wrong answers lean to a position among the choices.

    Args:
        n: Wrong answers that name a choice.
        answered: By letter, wrong answers given at that position.
        expected: By letter, how many there would be if each wrong position of a question were as
            likely as the others.
        p: Monte Carlo p of a chi-squared statistic at least as large, if it were so; 10,000 draws.
    """

    n: int
    answered: dict[str, int]
    expected: dict[str, float]
    p: float = Field(ge=0, le=1)


class ExplanationMetrics(Record):
    """Surface figures of the explanations; none of them shows that an explanation is faithful.

    Args:
        n: Explanations, empty ones not counted.
        words_mean: Mean length in words.
        words_sd: Sample standard deviation of the length; 0 for a single explanation.
        distractor_mentions: Mean number of distinct wrong choices that an explanation names;
            ``None``, like the next two, when the choices are not known.
        states_answer: Share that states an answer at all.
        states_other_answer: Share that states an answer other than the predictor's own.
    """

    n: int
    words_mean: float
    words_sd: float
    distractor_mentions: float | None = None
    states_answer: float | None = None
    states_other_answer: float | None = None


class Metrics(Record):
    """Figures of one predictor.

    Args:
        n: Examples.
        accuracy: Share answered rightly; unparsable answers count as wrong.
        ci_low: Lower end of the 95 % percentile bootstrap interval of the accuracy (the exact
            interval when all or none are right).
        ci_high: Its upper end.
        unparsed: Answers that name no choice (a count).
        classes: Results per class; empty when the choices are not known.
        breakdowns: Accuracy by kind of question; empty when the choices are not known.
        position_bias: Whether wrong answers lean to a position; ``None`` where that means nothing.
        explanations: Explanation figures; ``None`` when there are none.
        prediction: What prediction cost.
        training: What training cost.
        collapsed: What shows that the predictor is of no use, from its answers or its training;
            empty for a sound one.
    """

    n: int
    accuracy: float
    ci_low: float
    ci_high: float
    unparsed: int
    classes: dict[str, ClassMetrics]
    breakdowns: dict[str, dict[str, Group]] = Field(default_factory=dict)
    position_bias: PositionBias | None = None
    explanations: ExplanationMetrics | None = None
    prediction: PredictionSummary | None = None
    training: TrainingSummary | None = None
    collapsed: tuple[str, ...] = ()
