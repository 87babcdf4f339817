"""The analysis that keeps participants apart: each figure says what it takes for granted."""

from __future__ import annotations

import numpy as np

from distilwhy.human_study.checks import Missing, StraightLining, missing, straight_lining
from distilwhy.human_study.clustered import (
    ClusterRegression,
    OrdinalRegression,
    cluster_regression,
    ordinal_regression,
)
from distilwhy.human_study.conclusions import conclude
from distilwhy.human_study.effects import Effect, effects
from distilwhy.human_study.mixed import MixedModel, mixed_model
from distilwhy.human_study.paper import OUTCOMES
from distilwhy.human_study.permutation import PermutationTest, pair_tests, permutation_tests
from distilwhy.human_study.power import PairPower, power
from distilwhy.human_study.ratings import CONSTRUCTS, QUALITY, Mask, Numbers, Ratings
from distilwhy.human_study.reliability import Intraclass, agreement, intraclass
from distilwhy.records import Record
from distilwhy.statistics.agreement import Agreement
from distilwhy.statistics.multiplicity import adjust


class Robust(Record):
    """The robust analysis; all but what is said otherwise is by construct, and of quality.

    Args:
        permutation: Do any conditions differ? Permutations within participants.
        effects: Every pair of conditions: difference, A, intervals, p.
        cluster_ols: Linear regression, errors clustered by participant.
        mixed: Linear mixed model.
        ordinal: Cumulative logit model, of the five constructs.
        icc: How alike ratings of one participant are.
        agreement: Krippendorff's alpha, of the five constructs.
        missing: Missing ratings.
        straight_lining: Ratings that do not vary.
        without_straight_liners: The permutation tests without participants who never vary; empty
            where there are none.
        power: What the next study needs.
        conclusions: What was found, in sentences.
    """

    permutation: dict[str, PermutationTest]
    effects: dict[str, list[Effect]]
    cluster_ols: dict[str, ClusterRegression]
    mixed: dict[str, MixedModel]
    ordinal: dict[str, OrdinalRegression]
    icc: dict[str, Intraclass]
    agreement: dict[str, Agreement]
    missing: Missing
    straight_lining: StraightLining
    without_straight_liners: dict[str, PermutationTest]
    power: dict[str, list[PairPower]]
    conclusions: dict[str, list[str]]


def robust(ratings: Ratings, seed: int = 0, least: float = 0.25) -> Robust:
    """Run the robust analysis.

    Args:
        ratings: The ratings.
        seed: Seed of all draws.
        least: Least difference of interest, in points of the scale.
    """
    straight = straight_lining(ratings)
    without = {}
    if straight.participants:
        flagged = [ratings.participants.index(name) for name in straight.participants]
        without = _permutation(ratings, ~np.isin(ratings.participant, flagged), seed)
    tests = _permutation(ratings, np.ones(len(ratings.participant), dtype=bool), seed)
    sizes = _effects(ratings, seed)
    return Robust(
        permutation=tests,
        effects=sizes,
        cluster_ols={name: cluster_regression(ratings, name) for name in OUTCOMES},
        mixed={name: mixed_model(ratings, name) for name in OUTCOMES},
        ordinal={name: ordinal_regression(ratings, name) for name in CONSTRUCTS},
        icc={name: intraclass(ratings.outcome(name), ratings.participant) for name in OUTCOMES},
        agreement={name: agreement(ratings, name, seed) for name in CONSTRUCTS},
        missing=missing(ratings),
        straight_lining=straight,
        without_straight_liners=without,
        power={name: power(ratings, name, least) for name in OUTCOMES},
        conclusions=conclude(tests, sizes),
    )


def _outcomes(ratings: Ratings) -> Numbers:
    return np.column_stack([ratings.outcome(name) for name in OUTCOMES])


def _permutation(ratings: Ratings, rows: Mask, seed: int) -> dict[str, PermutationTest]:
    """Run the tests on some rows, Holm's correction over the constructs included."""
    parts = (_outcomes(ratings)[rows], ratings.condition[rows], ratings.participant[rows])
    tests = dict(zip(OUTCOMES, permutation_tests(*parts, seed), strict=True))
    adjusted = adjust([tests[name].p for name in CONSTRUCTS])
    for name, p in zip(CONSTRUCTS, adjusted, strict=True):
        tests[name] = tests[name].model_copy(update={"p_adj": p})
    return tests


def _effects(ratings: Ratings, seed: int) -> dict[str, list[Effect]]:
    """Return sizes of all pairs with their p, corrected over pairs and constructs."""
    pairs = pair_tests(_outcomes(ratings), ratings.condition, ratings.participant, seed)
    found = {}
    for place, name in enumerate(OUTCOMES):
        tests = [tests[place] for tests in pairs.values()]
        found[name] = [
            effect.model_copy(update={"p": test.p, "reason": effect.reason or test.reason})
            for effect, test in zip(effects(ratings, name, seed), tests, strict=True)
        ]
    for family in (CONSTRUCTS, (QUALITY,)):
        members = [(name, place) for name in family for place in range(len(pairs))]
        adjusted = adjust([found[name][place].p for name, place in members])
        for (name, place), p in zip(members, adjusted, strict=True):
            found[name][place] = found[name][place].model_copy(update={"p_adj": p})
    return found
