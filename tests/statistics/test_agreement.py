"""Krippendorff's alpha against the package that this one cannot depend on."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest

from distilwhy.statistics.agreement import Level, krippendorff_alpha

RNG = np.random.default_rng(3)
RATINGS = np.clip(np.round(RNG.normal(3, 1, (30, 1)) + RNG.normal(0, 0.8, (30, 6))), 1, 5)
RATINGS[RNG.random(RATINGS.shape) < 0.4] = np.nan


def units(ratings: np.ndarray) -> list[list[float]]:
    return [row[~np.isnan(row)].tolist() for row in ratings]


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_equals_the_package_s(level: Level) -> None:
    found = krippendorff_alpha(units(RATINGS), level)
    expected = krippendorff.alpha(RATINGS.T, level_of_measurement=level)
    assert found.alpha == pytest.approx(expected, rel=1e-10)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.alpha < found.ci_high
    assert found.units == sum(len(unit) > 1 for unit in units(RATINGS))


def test_the_interval_is_of_resampled_units() -> None:
    rng = np.random.default_rng(11)
    drawn = [
        krippendorff.alpha(
            RATINGS[rng.integers(0, len(RATINGS), len(RATINGS))].T, level_of_measurement="ordinal"
        )
        for _ in range(400)
    ]
    found = krippendorff_alpha(units(RATINGS), "ordinal")
    assert found.ci_low == pytest.approx(np.quantile(drawn, 0.025), abs=0.05)
    assert found.ci_high == pytest.approx(np.quantile(drawn, 0.975), abs=0.05)


def test_perfect_and_no_agreement() -> None:
    assert krippendorff_alpha([[1, 1], [2, 2, 2], [5, 5]]).alpha == 1
    found = krippendorff_alpha([[1, 2], [2, 1], [1, 2]])
    assert found.alpha is not None
    assert found.alpha < 0


def test_what_is_not_computable() -> None:
    assert krippendorff_alpha([[1], [2], []]).reason == "nothing was judged more than once"
    assert krippendorff_alpha([[4, 4], [4, 4]]).reason == "all judgements are equal"
