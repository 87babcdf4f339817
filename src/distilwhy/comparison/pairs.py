"""Tests, intervals and effect sizes of every pair of conditions at every size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean, variance
from typing import Literal

from distilwhy.comparison.conclusions import ALPHA, Family
from distilwhy.comparison.intervals import Interval, Side, interval
from distilwhy.comparison.runs import Run, RunSet
from distilwhy.records import Record
from distilwhy.statistics.effects import Standardised, VarghaDelaney, hedges_g, vargha_delaney
from distilwhy.statistics.multiplicity import adjust
from distilwhy.statistics.power import detectable_by_groups, detectable_by_pairs
from distilwhy.statistics.resampling import (
    group_permutation,
    paired_permutation,
    smallest_p_of_pairs,
)

Pairing = Literal["paired", "independent", "single"]
"""Whether runs belong together by seed, do not, or are one of each condition."""


class PairResult(Record):
    """Two conditions at one size.

    Args:
        size: The student's size.
        a: The first condition.
        b: The second condition.
        n_a: Runs of the first that were used.
        n_b: Runs of the second that were used.
        pairing: How the runs were compared.
        pairs: Pairs of runs; ``None`` where they are not paired.
        unused: Runs left aside, since the other condition has none of the same name.
        mean_a: Mean accuracy of the first, a share.
        mean_b: Mean accuracy of the second.
        difference: The first minus the second.
        interval: Its 95 % interval.
        p: Two-sided p of the permutation test; ``None`` where there is none.
        p_adj: The same after Holm's correction over all pairs and sizes.
        smallest_p: The smallest p that any data of this design could give.
        exact: Whether all arrangements were gone through.
        reason: Why there is no test; ``None`` where there is one.
        vargha_delaney: How often a run of the first is more accurate than one of the second.
        hedges: The difference in standard deviations between runs.
        detectable: The smallest true difference that the uncorrected test finds in 80 % of such
            experiments, a share; ``None`` where it can find none.
        detectable_corrected: The same at the strictest level of Holm's correction.
    """

    size: str
    a: str
    b: str
    n_a: int
    n_b: int
    pairing: Pairing
    pairs: int | None = None
    unused: int = 0
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval
    p: float | None = None
    p_adj: float | None = None
    smallest_p: float | None = None
    exact: bool | None = None
    reason: str | None = None
    vargha_delaney: VarghaDelaney
    hedges: Standardised
    detectable: float | None = None
    detectable_corrected: float | None = None


def pair_results(
    runs: RunSet, side: Callable[[Sequence[Run]], Side], unpaired: bool, seed: int
) -> tuple[PairResult, ...]:
    """Compare each pair of conditions at each size, corrected together.

    Args:
        runs: The runs.
        side: Returns what intervals need of some runs.
        unpaired: Whether runs of equal name are taken as independent of each other.
        seed: Seed of all draws.

    Returns:
        The pairs, by size and in the order of the conditions; sizes that only one condition has
        give none.
    """
    results = []
    spreads: dict[tuple[str, bool], list[tuple[float, int]]] = {}
    for size in runs.sizes:
        for a, b in combinations(runs.conditions, 2):
            cells = runs.cell(a, size), runs.cell(b, size)
            if all(cells):
                chosen = _chosen(*cells, unpaired)
                result = _compare(*chosen, side, seed)
                unused = len(cells[0]) + len(cells[1]) - result.n_a - result.n_b
                results.append(result.model_copy(update={"unused": unused}))
                spreads.setdefault((size, result.pairing == "paired"), []).append(_spread(*chosen))
    adjusted = adjust([result.p for result in results])
    tests = sum(result.p is not None for result in results)
    return tuple(
        result.model_copy(
            update={
                "p_adj": p_adj,
                **_detectable(result, spreads[result.size, result.pairing == "paired"], tests),
            }
        )
        for result, p_adj in zip(results, adjusted, strict=True)
    )


def family_of(pairs: Sequence[PairResult]) -> Family:
    """Return what is corrected together, and the smallest p that could come out of it."""
    reachable = [pair.smallest_p for pair in pairs if pair.smallest_p is not None]
    # Holm multiplies the smallest p by the number of tests; no other is corrected to less.
    smallest = min(1.0, len(reachable) * min(reachable)) if reachable else 1.0
    needed = 1
    while max(len(reachable), 1) * smallest_p_of_pairs(needed) >= ALPHA:
        needed += 1
    return Family(tests=len(reachable), smallest_p=smallest, seeds_needed=needed)


def _chosen(
    first: Sequence[Run], second: Sequence[Run], unpaired: bool
) -> tuple[Sequence[Run], Sequence[Run], Pairing]:
    """Return the runs to compare: pairs of equal name, where at least half of the runs have one."""
    if len(first) == len(second) == 1:
        return first, second, "single"
    named = {run.run: run for run in second}
    shared = [(run, named[run.run]) for run in first if run.run in named]
    if unpaired or len(shared) < 2 or 2 * len(shared) < max(len(first), len(second)):
        return first, second, "independent"
    return [one for one, _ in shared], [other for _, other in shared], "paired"


def _compare(
    first: Sequence[Run],
    second: Sequence[Run],
    pairing: Pairing,
    side: Callable[[Sequence[Run]], Side],
    seed: int,
) -> PairResult:
    one, other = [run.accuracy for run in first], [run.accuracy for run in second]
    test = None
    if pairing == "paired":
        apart = [x - y for x, y in zip(one, other, strict=True)]
        test = paired_permutation(apart, seed)
    elif pairing == "independent":
        test = group_permutation(one, other, seed)
    return PairResult(
        size=first[0].size,
        a=first[0].condition,
        b=second[0].condition,
        n_a=len(one),
        n_b=len(other),
        pairing=pairing,
        pairs=len(one) if pairing == "paired" else None,
        mean_a=fmean(one),
        mean_b=fmean(other),
        difference=fmean(one) - fmean(other),
        interval=interval(side(first), side(second), pairing == "paired", seed),
        p=test.p if test else None,
        smallest_p=test.smallest_p if test else None,
        exact=test.exact if test else None,
        reason=None if test else "one run of each condition does not tell how runs vary",
        vargha_delaney=vargha_delaney(one, other),
        hedges=hedges_g(one, other),
    )


def _spread(first: Sequence[Run], second: Sequence[Run], pairing: Pairing) -> tuple[float, int]:
    """Return a sum of squares and its degrees of freedom: of differences, or within conditions."""
    one, other = [run.accuracy for run in first], [run.accuracy for run in second]
    groups = [one, other]
    if pairing == "paired":
        groups = [[x - y for x, y in zip(one, other, strict=True)]]
    df = [len(group) - 1 for group in groups]
    squares = sum(k * variance(group) for k, group in zip(df, groups, strict=True) if k)
    return squares, sum(df)


def _detectable(
    result: PairResult, spreads: Sequence[tuple[float, int]], tests: int
) -> dict[str, float | None]:
    """Return the smallest differences that the test finds; spreads of a size's pairs are pooled."""
    df = sum(k for _, k in spreads)
    if result.p is None or not df:
        return {}
    sd = math.sqrt(sum(squares for squares, _ in spreads) / df)
    sizes = []
    for alpha in (ALPHA, ALPHA / tests):
        if result.pairs is not None:
            size = detectable_by_pairs(result.pairs, alpha)
        else:
            size = detectable_by_groups(result.n_a, result.n_b, alpha)
        # A spread of zero is no spread that was measured.
        sizes.append(size * sd if size is not None and sd > 0 else None)
    return {"detectable": sizes[0], "detectable_corrected": sizes[1]}
