"""Robust mode: pairing, intervals, collapsed runs, and words no stronger than the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from distilwhy.comparison.compare import compare
from distilwhy.errors import UserError

Table = Callable[..., Path]
Experiment = Callable[..., Path]
MT, CF = "multitask-unrevised", "counterfactual-unrevised"


def runs(name: str, values, size: str = "220M"):
    return [(name, size, number, value) for number, value in enumerate(values)]


def test_pairs_against_scipy(table: Table) -> None:
    random = np.random.default_rng(5)
    first, second = random.normal(0.6, 0.02, 9).round(4), random.normal(0.57, 0.02, 9).round(4)
    # The rows of one condition stand in another order: runs are paired by name.
    rows = [*runs("MT", first), *reversed(runs("CF", second))]
    (pair,) = compare([table(rows)]).robust.pairs
    apart = second - first
    reference = stats.permutation_test(
        (apart,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert (pair.a, pair.b, pair.pairing, pair.pairs) == ("CF", "MT", "paired", 9)
    assert pair.p == pair.p_adj == pytest.approx(reference.pvalue, abs=1e-12)
    limits = stats.ttest_1samp(apart, 0).confidence_interval()
    assert (pair.interval.low, pair.interval.high) == pytest.approx((limits.low, limits.high))
    assert (pair.interval.over, pair.interval.df) == ("seeds", 8)
    # The bootstrap's own ends are further in, as they always are with few seeds.
    assert pair.interval.low < pair.interval.percentile_low < pair.difference
    free = compare([table(rows)], unpaired=True).robust.pairs[0]
    welch = stats.ttest_ind(second, first, equal_var=False)
    limits = welch.confidence_interval()
    assert (free.interval.low, free.interval.high) == pytest.approx((limits.low, limits.high))
    assert free.interval.df == pytest.approx(welch.df)


def test_words_are_no_stronger_than_the_test(table: Table) -> None:
    values = [0.60, 0.61, 0.615, 0.605, 0.62]

    def said(rows, name, **options):
        robust = compare([table(rows, name)], **options).robust
        return robust, [item.text for item in robust.conclusions]

    five = [*runs("MT", values), *runs("CF", [x - 0.1 - x / 50 for x in values])]
    robust, (text,) = said(five, "five.csv")
    assert not robust.conclusions[0].settled
    assert (
        "with 5 paired seeds no permutation can reach p < 0.05 (the smallest p is 0.0625)" in text
    )
    assert "MT is 11.2 points above CF in these runs, 95 % interval 11.2 to 11.2" in text
    assert robust.family.seeds_needed == 6
    assert robust.pairs[0].detectable is None
    robust, (text,) = said(five, "five.csv", unpaired=True)
    assert robust.conclusions[0].settled
    assert text.startswith("220M: MT better than CF by 11.2 points, 95 % interval ")
    assert text.endswith("holds after correction (p = 0.008).")
    longer = [*values, 0.61]
    three = [
        *runs("MT", longer),
        *runs("CF", [x - 0.1 - x / 50 for x in longer]),
        *runs("MT+CF", [0.61, 0.60, 0.62, 0.60, 0.61, 0.615]),
    ]
    robust, texts = said(three, "three.csv")
    assert robust.family.tests == 3
    assert robust.family.smallest_p == pytest.approx(3 / 32)
    assert (
        "does not hold after correction for 3 comparisons (p = 0.094), as no result of" in texts[0]
    )
    assert "not settled: MT+CF is 0.2 points above MT in these runs" in texts[2] or (
        "not settled: MT is" in texts[2]
    )
    assert not any(item.settled for item in robust.conclusions)


def test_two_sizes_are_corrected_together(table: Table) -> None:
    rows = [
        *runs("MT", [0.6 + n / 1000 for n in range(8)]),
        *runs("CF", [0.5 + n / 900 for n in range(8)]),
        *runs("MT", [0.7 + n / 1000 for n in range(8)], "770M"),
        *runs("CF", [0.6 + n / 900 for n in range(8)], "770M"),
    ]
    robust = compare([table(rows)]).robust
    assert [pair.size for pair in robust.pairs] == ["220M", "770M"]
    assert [pair.p for pair in robust.pairs] == [2 / 2**8] * 2
    assert [pair.p_adj for pair in robust.pairs] == [4 / 2**8] * 2


def test_runs_without_a_partner_are_left_aside_or_taken_as_independent(table: Table) -> None:
    most = [*runs("MT", [0.6, 0.61, 0.62, 0.63]), *runs("CF", [0.5, 0.52, 0.51])]
    (pair,) = compare([table(most, "a.csv")]).robust.pairs
    assert (pair.pairing, pair.pairs, pair.unused) == ("paired", 3, 1)
    assert pair.mean_b == pytest.approx(0.61)
    few = [("MT", "s", f"x{n}", 0.6 + n / 100) for n in range(4)]
    few += [("CF", "s", f"y{n}", 0.5 + n / 100) for n in range(3)]
    (pair,) = compare([table(few, "b.csv")]).robust.pairs
    assert (pair.pairing, pair.pairs, pair.unused) == ("independent", None, 0)
    assert pair.p == pytest.approx(1 / 35)


def test_collapsed_runs_of_a_table(table: Table) -> None:
    sound = [0.70, 0.71, 0.705, 0.715, 0.70, 0.72]
    rows = [*runs("MT", sound), *runs("CF", [0.2, 0.65, 0.66, 0.3, 0.64, 0.655])]
    robust = compare([table(rows)]).robust
    assert [(x.condition, x.run) for x in robust.collapsed] == [("CF", "0"), ("CF", "3")]
    assert "44.5 points below the median" in robust.collapsed[0].why[0]
    assert "10 points below the median" in robust.collapse_rule
    assert robust.without_collapsed.pairs[0].pairs == 4
    text = robust.conclusions[0].text
    assert "Without collapsed runs: cannot be settled: with 4 paired seeds" in text
    assert compare([table(runs("MT", sound) + runs("CF", sound), "b.csv")]).robust.collapsed == ()


def test_intervals_over_seeds_and_questions(experiment: Experiment) -> None:
    random = np.random.default_rng(6)
    hard = random.random(400)

    def scores(shift):
        return [int(x) for x in hard + random.normal(0, 0.2, 400) < shift]

    cells = {
        (name, "t5", seed): scores(x) for name, x in ((MT, 0.7), (CF, 0.55)) for seed in (3, 4, 5)
    }
    root = experiment(cells)
    result = compare([root])
    (pair,) = result.robust.pairs
    assert result.runs.conditions == ("CF", "MT")
    assert (pair.pairs, pair.interval.over) == (3, "seeds and questions")
    apart = np.array([np.subtract(cells[CF, "t5", s], cells[MT, "t5", s]) for s in (3, 4, 5)])
    assert pair.difference == pytest.approx(apart.mean())
    # The variance of a mean over rows and columns that are both drawn anew, multiplied out.
    n, q = apart.shape
    total = apart - apart.mean()
    rows, columns = total.mean(axis=1), total.mean(axis=0)
    variance = (1 - 1 / q) * (rows**2).sum() / n**2 + (1 - 1 / n) * (columns**2).sum() / q**2
    variance += (total**2).sum() / (n * q) ** 2
    seeds = np.var(apart.mean(axis=1), ddof=1) / n
    # A bootstrap of n seeds lacks one n-th of the variance between seeds.
    assert pair.interval.standard_error == pytest.approx((variance + seeds / n) ** 0.5, rel=0.02)
    assert pair.interval.df == 2
    metrics = sorted(root.rglob("metrics.json"))
    again = compare(metrics).robust
    assert again.pairs[0].interval == pair.interval
    (root / "cells" / MT / "t5" / "seed-3" / "predictions.jsonl").unlink()
    alone = compare([root]).robust
    assert alone.pairs[0].interval.over == "seeds"
    assert alone.why_not_questions == "1 of 6 runs have no predictions beside them"


def test_one_seed_is_compared_over_questions_and_not_tested(experiment: Experiment) -> None:
    root = experiment({(MT, "t5", 0): [1, 1, 1, 0] * 20, (CF, "t5", 0): [1, 0, 1, 0] * 20})
    robust = compare([root]).robust
    (pair,) = robust.pairs
    assert (pair.pairing, pair.p, pair.interval.over) == ("single", None, "questions")
    assert robust.conclusions[0].text.endswith(" over questions, not seeds.")
    # A quarter of 80 questions differ: the standard error is sqrt(0.25 * 0.75 / 80).
    assert pair.interval.standard_error == pytest.approx((0.1875 / 80) ** 0.5, rel=0.05)


def test_what_metrics_json_says_of_collapse_counts(experiment: Experiment) -> None:
    random = np.random.default_rng(7)
    cells = {
        (name, "t5", seed): [int(x) for x in random.random(40) < 0.6]
        for name in (MT, CF)
        for seed in range(3)
    }
    root = experiment(cells, collapsed=[(MT, "t5", 1)])
    robust = compare([root]).robust
    assert [(x.condition, x.run, x.why) for x in robust.collapsed] == [
        ("MT", "1", ("no loss fell",))
    ]
    assert robust.without_collapsed.pairs[0].pairs == 2


def test_figures_and_predictions_must_belong_together(experiment: Experiment) -> None:
    root = experiment({(MT, "t5", 0): [1, 0], (CF, "t5", 0): [1, 1]})
    path = root / "cells" / MT / "t5" / "seed-0" / "metrics.json"
    path.write_text(path.read_text().replace('"accuracy": 0.5', '"accuracy": 0.75', 1))
    with pytest.raises(
        UserError, match=r"accuracy 0\.7500, but the predictions beside it have 0\.5"
    ):
        compare([root])


def test_one_condition_or_no_common_size_is_nothing_to_compare(table: Table) -> None:
    with pytest.raises(UserError, match="All 3 runs are of one condition, MT"):
        compare([table(runs("MT", [0.5, 0.6, 0.7]))])
    with pytest.raises(UserError, match="No size has runs of two conditions"):
        compare([table([("MT", "s", 0, 0.5), ("CF", "m", 0, 0.5)], "b.csv")])
