"""Surface figures of explanations: a scorer judges one item, a metric summarises all items.

None of these figures shows that an explanation is true, helpful or the reason of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from distilwhy.evaluation.metrics import ExplanationMetrics
from distilwhy.records import Prediction, Record
from distilwhy.tasks.answers import mentions, normalise, stated_answer


class ExplanationScores(Record):
    """What was counted in one explanation.

    Args:
        words: Words, as split at white space. Length is not quality: a looping text is long, and
            people may prefer either.
        distractors: Distinct wrong choices whose text occurs in the explanation. It does not show
            that they are argued against, nor that a choice named in other words was left out; a
            choice that is a common word (``no``) or part of another (``bank`` in ``river bank``)
            is found where it is not meant.
        stated: The choice that the explanation states to be the answer; ``None`` when it states
            none. It does not show that the sentences before it argue for that choice.
        states_other: Whether it states an answer other than the predictor's own. ``False`` does
            not show agreement: the explanation may state nothing, or the predictor's answer may
            be unparsed.
    """

    words: int
    distractors: int
    stated: str | None = None
    states_other: bool = False


def score_explanation(prediction: Prediction) -> ExplanationScores | None:
    """Count what one explanation says.

    Args:
        prediction: A prediction.

    Returns:
        Its scores; ``None`` when it has no explanation or an empty one.
    """
    text = prediction.rationale
    if text is None or not text.strip():
        return None
    example = prediction.example
    right = normalise(example.answer) if example.answer is not None else None
    # Choices that differ in case or punctuation only are one choice.
    wrong = {normalise(choice): choice for choice in reversed(example.wrong_choices)}
    stated = stated_answer(text, example.choices)
    return ExplanationScores(
        words=len(text.split()),
        distractors=sum(mentions(text, choice) for key, choice in wrong.items() if key != right),
        stated=stated,
        states_other=stated is not None
        and prediction.answer is not None
        and normalise(stated) != normalise(prediction.answer),
    )


def explanation_metrics(
    predictions: Sequence[Prediction], choices_known: bool = True
) -> ExplanationMetrics | None:
    """Summarise the explanations of one predictor.

    Args:
        predictions: Its predictions.
        choices_known: ``False`` leaves out the figures that need the choices.

    Returns:
        The figures over explanations that are not empty; ``None`` when there is none.
    """
    scores = [score for score in map(score_explanation, predictions) if score is not None]
    if not scores:
        return None
    words = [score.words for score in scores]
    needing_choices = {
        "distractor_mentions": fmean(score.distractors for score in scores),
        "states_answer": fmean(score.stated is not None for score in scores),
        "states_other_answer": fmean(score.states_other for score in scores),
    }
    return ExplanationMetrics(
        n=len(scores),
        words_mean=fmean(words),
        words_sd=stdev(words) if len(words) > 1 else 0.0,
        **(needing_choices if choices_known else {}),
    )
