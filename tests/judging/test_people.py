"""Agreement with people: matching, alpha and rank correlation against independent ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from scipy.stats import spearmanr

from distilwhy.errors import DataError
from distilwhy.judging.people import (
    agreement,
    by_example,
    correlation,
    pairs_of,
    read_human_ratings,
)
from distilwhy.records import Prediction

HEADER = (
    "CASE,rationale,Completeness,Contrastiveness,Plausibility,Satisfaction,Understandability,"
    "rationale_id,model,rationale_length\n"
)


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "ratings.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def test_ratings_belong_to_the_same_text(tmp_path: Path, said: Callable[..., Prediction]) -> None:
    path = write(
        tmp_path,
        '1,"It wades,  slowly.",4,3,5,2,1,7,MT,3',
        '2,"it wades, slowly.",2,,NA,2,5.0,7,MT,3',
        "2,It flies.,1,1,1,1,1,8,CF,2",
    )
    found = by_example(
        [said(1, "It wades, slowly."), said(2, "It sings.")], read_human_ratings(path)
    )
    assert found == {
        "q1": {
            "plausibility": [5],
            "understandability": [1, 5],
            "completeness": [4, 2],
            "satisfaction": [2, 2],
            "contrastiveness": [3],
        }
    }


def test_a_question_tells_equal_texts_apart(
    tmp_path: Path, said: Callable[..., Prediction]
) -> None:
    header = "question,rationale,plausibility\n"
    path = write(
        tmp_path,
        "Which bird stands in pond number 1?,It wades.,4",
        "Which bird stands in pond number 2?,It wades.,1",
        header=header,
    )
    rows = [said(n, "It wades.") for n in (1, 2, 3)]
    assert by_example(rows, read_human_ratings(path)) == {
        "q1": {"plausibility": [4]},
        "q2": {"plausibility": [1]},
    }


def test_unusable_tables_name_their_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'rationale'"):
        read_human_ratings(write(tmp_path, "1,2", header="a,b\n"))
    path = write(tmp_path, "1,It wades.,7,0,x,4.5,inf,7,MT,3")
    with pytest.raises(DataError, match="5 faults") as error:
        read_human_ratings(path)
    assert "ratings.csv:2: completeness is 7, not a whole number from 1 to 5" in str(error.value)


@pytest.mark.parametrize("seed", range(3))
def test_agreement_equals_independent_figures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, 60)
    ours = np.clip(truth + rng.integers(-1, 2, 60), 1, 5) - rng.choice([0, 0.5], 60)
    theirs = np.clip(truth + rng.integers(-1, 2, 60), 1, 5)
    pairs = list(zip(ours.tolist(), theirs.tolist(), strict=True))
    alpha = krippendorff.alpha(np.array(pairs, dtype=float).T, level_of_measurement="ordinal")
    found, rho = agreement(pairs), correlation(pairs)
    assert found.alpha == pytest.approx(alpha, abs=1e-10)
    assert rho.rho == pytest.approx(spearmanr(ours, theirs).statistic, abs=1e-12)
    assert rho.ci_low is not None
    assert rho.ci_high is not None
    # Fisher's interval, with the variance of Bonett and Wright (2000).
    half = 1.96 * np.sqrt((1 + rho.rho**2 / 2) / 57)
    low, high = np.tanh(np.arctanh(rho.rho) + np.array([-half, half]))
    assert rho.ci_low == pytest.approx(low, abs=0.08)
    assert rho.ci_high == pytest.approx(high, abs=0.08)


def test_what_is_not_computable_says_why() -> None:
    assert correlation([(1, 2), (2, 3)]).reason == "fewer than 3 explanations were rated by both"
    assert correlation([(3, n) for n in range(1, 6)]).reason == (
        "all of the judge's ratings are equal"
    )
    assert correlation([(n, 3) for n in range(1, 6)]).reason == "all of people's ratings are equal"
    assert agreement([(3, 3)] * 4).reason == "all judgements are equal"
    assert agreement([]).alpha is None


def test_pairs_take_the_mean_of_people() -> None:
    assert pairs_of({"a": 2.5, "b": 3.0}, {"a": [1, 2], "c": [5]}) == [(2.5, 1.5)]
