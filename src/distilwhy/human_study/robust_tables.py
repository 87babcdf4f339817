"""The robust analysis as tables, its conclusions and checks as lines."""

from __future__ import annotations

from collections.abc import Iterator

from distilwhy.grids import Grid
from distilwhy.human_study.ratings import QUALITY
from distilwhy.human_study.robust import Robust
from distilwhy.human_study.writing import NONE, interval, number, p_value, reasons


def robust_grids(robust: Robust) -> Iterator[Grid]:
    """Yield the tables of the robust analysis.

    Args:
        robust: The analysis.
    """
    yield _tests(robust)
    yield _effects(robust)
    yield _models(robust)
    yield _shared(robust)
    yield _power(robust)


def robust_lines(robust: Robust) -> list[str]:
    """Return checks of the data and what was found, as lines.

    Args:
        robust: The analysis.
    """
    gaps, straight = robust.missing, robust.straight_lining
    lines = [
        f"Missing: {sum(gaps.by_construct.values())} ratings of {gaps.participants} participants; "
        f"{gaps.whole} of {gaps.rows} rows are whole; participants rated {gaps.fewest_rows} to "
        f"{gaps.most_rows} explanations."
    ]
    share = NONE if straight.share is None else f"{100 * straight.share:.1f} %"
    names = ", ".join(straight.participants[:10]) + (", ..." if straight.participants[10:] else "")
    lines.append(
        f"Straight-lining: {straight.rows} rows ({share}) have five equal ratings; "
        f"{len(straight.participants)} participants never vary{': ' + names if names else ''}."
    )
    if robust.without_straight_liners:
        without = robust.without_straight_liners[QUALITY]
        lines.append(f"Quality without them: p = {p_value(without.p)}.")
    lines.append("Conclusions:")
    return lines + [f"- {line}" for told in robust.conclusions.values() for line in told]


def _tests(robust: Robust) -> Grid:
    rows = tuple(
        (
            *(name, p_value(x.p), p_value(x.p_adj), str(x.participants), str(x.n)),
            *(p_value(robust.cluster_ols[name].F_p), p_value(robust.mixed[name].chi2_p)),
        )
        for name, x in robust.permutation.items()
    )
    first = next(iter(robust.permutation.values()))
    note = "Do any conditions differ? "
    if first.scheme is not None:
        note += (
            f"Permutations {first.scheme}, {first.draws:,} drawn; Holm over the five constructs. "
        )
    note += "OLS and the mixed model adjust for length. "
    told = [x.reason for x in robust.permutation.values()]
    told += [x.reason for x in robust.cluster_ols.values()]
    told += [x.reason for x in robust.mixed.values()]
    head = (
        "Construct",
        "p, permutation",
        "p, Holm",
        "Participants",
        "n",
        "p, clustered OLS",
        "p, mixed",
    )
    return Grid("Tests of all conditions", head, rows, 1, (note + reasons(told)).strip())


def _effects(robust: Robust) -> Grid:
    rows = tuple(
        (
            *(name, x.a, x.b, number(x.difference), interval(x.ci_low, x.ci_high)),
            *(
                number(x.raw),
                number(x.A),
                interval(x.A_low, x.A_high),
                p_value(x.p),
                p_value(x.p_adj),
            ),
        )
        for name, pairs in robust.effects.items()
        for x in pairs
    )
    note = (
        "b - a: what is tested, in points: participants' own differences or, where none rated both "
        "conditions, that of participants' means. Raw b - a: of the means of all ratings, whoever "
        "gave them. A: how often a rating of a exceeds one of b, whoever gave them. "
        "Intervals draw participants. Holm over all pairs of the five constructs; over its own "
        "pairs for quality. "
    )
    told = reasons(x.reason for pairs in robust.effects.values() for x in pairs)
    head = (
        "Construct",
        "a",
        "b",
        "b - a",
        "95 % interval",
        "Raw b - a",
        "A",
        "95 % of A",
        "p",
        "p, Holm",
    )
    return Grid("Sizes of differences", head, rows, 3, (note + told).strip())


def _models(robust: Robust) -> Grid:
    rows = []
    for name, ols in robust.cluster_ols.items():
        mixed, ordinal = robust.mixed[name], robust.ordinal.get(name)
        odds = ordinal.odds_ratio if ordinal else {}
        for term in ols.coef or mixed.coef or odds:
            cells = []
            for coef, se in ((ols.coef, ols.se), (mixed.coef, mixed.se)):
                cells += [number(coef.get(term)), number(se.get(term))]
            limits: tuple[float | None, float | None] = (None, None)
            if ordinal and term in odds:
                limits = (ordinal.ci_low[term], ordinal.ci_high[term])
            cells += [number(odds.get(term)), interval(*limits)]
            rows.append((name, term, *cells))
    note = (
        "Clustered OLS and ordinal model: errors clustered by participant. Mixed model: intercepts "
        "of participants, and of explanations that were rated more than once. Log odds: of a "
        "higher rating. "
    )
    told = [x.reason for x in robust.cluster_ols.values()]
    told += [x.reason for x in robust.mixed.values()]
    told += [x.reason for x in robust.ordinal.values()]
    told += [x.item_reason for x in robust.mixed.values()]
    head = ("Construct", "Term", "OLS", "SE", "Mixed", "SE", "Odds ratio", "95 % of log odds")
    return Grid("Models", head, tuple(rows), 2, (note + reasons(told)).strip())


def _shared(robust: Robust) -> Grid:
    rows = []
    for name, x in robust.icc.items():
        agreed = robust.agreement.get(name)
        cells = [NONE, NONE, NONE]
        if agreed is not None:
            limits = interval(agreed.ci_low, agreed.ci_high)
            cells = [number(agreed.alpha), limits, str(agreed.units)]
        rows.append((name, number(x.icc), number(robust.mixed[name].icc), *cells))
    told = [x.reason for x in robust.icc.values()]
    told += [x.reason for x in robust.agreement.values()]
    head = (
        "Construct",
        "ICC(1)",
        "ICC, mixed",
        "Krippendorff's alpha",
        "95 % interval",
        "Explanations",
    )
    title = "What participants share: ICC of their own ratings, agreement with others'"
    return Grid(title, head, tuple(rows), 1, reasons(told))


def _power(robust: Robust) -> Grid:
    rows = tuple(
        (
            *(name, x.a, x.b, x.design, number(x.difference), number(x.sd)),
            *(_count(x.for_observed), _count(x.for_least), number(x.detectable)),
        )
        for name, pairs in robust.power.items()
        for x in pairs
    )
    note = (
        "Participants needed to find a difference with a power of 80 % at a level of 5 % over the "
        "number of pairs. Found from: the smallest difference that these participants would find. "
    )
    told = reasons(x.reason for pairs in robust.power.values() for x in pairs)
    head = (
        "Construct",
        "a",
        "b",
        "Design",
        "b - a",
        "SD",
        "For observed",
        "For least",
        "Found from",
    )
    return Grid("The next study", head, rows, 4, (note + told).strip())


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"
