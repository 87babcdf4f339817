"""Conclusions say of the difference that was tested what its test and interval bear out."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from distilwhy.human_study.conclusions import conclude
from distilwhy.human_study.effects import Effect, effects
from distilwhy.human_study.permutation import PermutationTest
from distilwhy.human_study.ratings import CONSTRUCTS, Ratings
from distilwhy.human_study.robust import robust


def ratings(participant: np.ndarray, condition: np.ndarray, values: np.ndarray) -> Ratings:
    people = tuple(f"p{n}" for n in range(participant.max() + 1))
    return Ratings(
        conditions=("CF", "MT"),
        condition=condition,
        participants=people,
        participant=participant,
        item=None,
        values=np.repeat(values[:, None], len(CONSTRUCTS), axis=1),
        length=None,
        demographics={},
        notes=(),
    )


def simpson(people: int = 30, each: int = 10) -> Ratings:
    """Half the people rate high and see CF most often; each rates MT 0.7 points higher."""
    rng = np.random.default_rng(3)
    participant = np.repeat(np.arange(people), each)
    high = participant < people // 2
    often = np.tile(np.arange(each) < 0.8 * each, people)
    condition = (often != high).astype(int)
    values = np.where(high, 3.7, 1.6) + 0.7 * condition + rng.normal(0, 0.4, len(high))
    return ratings(participant, condition, np.clip(np.round(values), 1, 5))


def least_squares(study: Ratings, by: np.ndarray) -> float:
    return float(sm.OLS(study.quality, np.column_stack([study.condition, by])).fit().params[0])


def test_who_rated_what_does_not_turn_the_difference() -> None:
    study = simpson()
    (found,) = effects(study, "quality")
    dummies = np.eye(len(study.participants))[study.participant]
    assert found.difference == pytest.approx(least_squares(study, dummies), rel=1e-9)
    assert found.raw == pytest.approx(least_squares(study, np.ones(300)), rel=1e-9)
    assert found.scheme == "within participants"
    assert found.difference > 0.5
    assert found.raw < -0.5
    # The interval is that of a regression whose errors are clustered.
    fit = sm.OLS(study.quality, np.column_stack([study.condition, dummies])).fit(
        cov_type="cluster", cov_kwds={"groups": study.participant, "use_correction": False}
    )
    low, high = fit.conf_int()[0]
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=0.04)
    said = robust(study).conclusions["quality"][1]
    assert said.startswith(f"MT against CF: {found.difference:.2f} points higher within partic")
    assert f"(raw means: {-found.raw:.2f} points lower); not settled, as raw means point" in said
    assert "holds" not in said


def test_nobody_who_rated_both_is_compared_by_means_of_people() -> None:
    rng = np.random.default_rng(4)
    participant = np.repeat(np.arange(12), np.arange(1, 13))
    condition = participant % 2
    values = rng.integers(1, 6, len(participant)).astype(float)
    (found,) = effects(ratings(participant, condition, values), "quality")
    means = np.array([values[participant == person].mean() for person in range(12)])
    assert found.difference == pytest.approx(means[1::2].mean() - means[::2].mean())
    assert found.scheme == "between participants"
    assert found.raw == pytest.approx(values[condition == 1].mean() - values[condition == 0].mean())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "; holds after correction (p = 0.0100)."),
        ({"ci_low": -0.1}, "; not settled, as the interval does not confirm the test (p = 0.0100"),
        ({"ci_low": None, "ci_high": None}, "; not settled, as there are too few participants"),
        ({"raw": -0.2}, "; not settled, as raw means point the other way"),
        ({"p_adj": 0.2}, "; does not hold after correction (p = 0.2000)."),
        ({"p": 0.3, "p_adj": 0.6}, "; not told apart from none (p = 0.3000)."),
    ],
)
def test_what_holds_after_correction(changes: dict[str, float | None], said: str) -> None:
    effect = Effect(
        a="CF",
        b="MT",
        difference=0.5,
        ci_low=0.2,
        ci_high=0.8,
        scheme="within participants",
        raw=0.4,
        p=0.001,
        p_adj=0.01,
    ).model_copy(update=changes)
    test = PermutationTest(p=0.01, participants=9, n=90)
    (_, sentence) = conclude({"quality": test}, {"quality": [effect]})["quality"]
    assert said in sentence
