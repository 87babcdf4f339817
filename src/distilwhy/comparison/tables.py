"""A comparison's results as tables of text or LaTeX, and its conclusions as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from distilwhy.comparison.compare import Comparison
from distilwhy.comparison.conclusions import Conclusion, points
from distilwhy.comparison.pairs import PairResult
from distilwhy.comparison.paper import PaperAnalysis, PaperResult
from distilwhy.comparison.robust import RobustAnalysis
from distilwhy.comparison.runs import RunSet
from distilwhy.grids import Grid

Format = Literal["text", "latex"]

NONE = "-"
ALL = "all runs"


def render(comparison: Comparison, form: Format = "text") -> str:
    """Return all results of a comparison.

    Args:
        comparison: The comparison.
        form: As aligned text, or as LaTeX for a paper (rules of booktabs).
    """
    latex = form == "latex"
    parts = [_opening(comparison.runs)]
    if paper := comparison.paper:
        parts += ["Paper mode: outliers taken out, and with all runs", _left_out(paper)]
        parts += [grid.latex() if latex else grid.text() for grid in paper_grids(paper)]
        parts.append(_said(paper.trimmed.conclusions))
    if robust := comparison.robust:
        parts += ["Robust mode", _intervals_over(robust)]
        parts += [grid.latex() if latex else grid.text() for grid in robust_grids(robust)]
        parts.append(_said(robust.conclusions))
    if latex:
        # All but tables stand as comments, so that the whole can be read in by \input.
        parts = [
            part if part.startswith(r"\begin") else "\n".join(f"% {x}" for x in part.split("\n"))
            for part in parts
            if part
        ]
    return "\n\n".join(part for part in parts if part)


def paper_grids(paper: PaperResult) -> Iterator[Grid]:
    """Yield the tables of the paper's analysis, both selections of runs side by side.

    Args:
        paper: The analysis.
    """
    one, other = paper.trimmed, paper.all_runs
    yield _means(one, other)
    if one.outliers:
        rows = [
            (x.condition, x.size, x.run, _percent(x.accuracy), _percent(x.low), _percent(x.high))
            for x in one.outliers
        ]
        head = ("Condition", "Size", "Run", "Accuracy %", "Lower fence", "Upper fence")
        yield Grid("Outliers (1.5 IQR within condition and size)", head, tuple(rows), 3)
    yield _assumptions(one, other)
    yield _anova(one, other)
    yield _tukey(one, other)


def robust_grids(robust: RobustAnalysis) -> Iterator[Grid]:
    """Yield the tables of the robust analysis.

    Args:
        robust: The analysis.
    """
    yield _pairs(robust.pairs, "Permutation tests and intervals")
    if robust.collapsed:
        rows = tuple(
            (x.condition, x.size, x.run, "; ".join(x.why), _percent(x.accuracy))
            for x in robust.collapsed
        )
        head = ("Condition", "Size", "Run", "What shows it", "Accuracy %")
        note = f"Rule: {robust.collapse_rule}."
        yield Grid("Collapsed runs (counted above)", head, rows, 4, note)
    if robust.without_collapsed is not None:
        cells = {(x.condition, x.size) for x in robust.collapsed}
        changed = [
            x for x in robust.without_collapsed.pairs if {(x.a, x.size), (x.b, x.size)} & cells
        ]
        yield _pairs(changed, "Without collapsed runs, where there were any")


def _opening(runs: RunSet) -> str:
    told = "read as percent" if runs.unit == "percent" else "read as shares"
    where = f"tables, accuracies {told}" if runs.origin == "tables" else "experiments"
    return f"{len(runs.runs)} runs of {len(runs.conditions)} conditions, from {where}."


def _left_out(paper: PaperResult) -> str:
    if not paper.left_out:
        return ""
    named = ", ".join(f"{name} ({count})" for name, count in paper.left_out.items())
    total = sum(paper.left_out.values())
    return f"Left out, as none of the paper's four conditions: {total} runs: {named}."


def _intervals_over(robust: RobustAnalysis) -> str:
    over = f"Intervals are over {robust.intervals_over}"
    over += f" alone: {robust.why_not_questions}." if robust.why_not_questions else "."
    family = robust.family
    if not family.tests:
        return over
    text = f"{over} Holm's correction is for {family.tests} tests; "
    if family.smallest_p >= 0.05:
        return text + (
            f"the smallest corrected p that these runs could reach is {family.smallest_p:.3g}, so "
            f"that no difference can hold; {family.seeds_needed} paired seeds or more could."
        )
    return (
        text + f"the smallest corrected p that these runs could reach is {family.smallest_p:.2g}."
    )


def _said(conclusions: tuple[Conclusion, ...]) -> str:
    return "\n".join(["Conclusions:", *(f"- {item.text}" for item in conclusions)])


def _means(one: PaperAnalysis, other: PaperAnalysis) -> Grid:
    all_of = {(x.condition, x.size): x for x in other.means}
    rows = []
    for x in one.means:
        y = all_of[x.condition, x.size]
        figures = [(str(z.n), _percent(z.mean), _percent(z.sd)) for z in (x, y)]
        rows.append((x.condition, x.size, *figures[0], *figures[1]))
    head = ("Condition", "Size", "n", "Mean %", "SD", f"n, {ALL}", f"Mean %, {ALL}", f"SD, {ALL}")
    return Grid("Accuracy by condition and size", head, tuple(rows), 2)


def _assumptions(one: PaperAnalysis, other: PaperAnalysis) -> Grid:
    figures = [(_number(x.levene.statistic), _p(x.levene.p)) for x in (one, other)]
    rows = [("Levene (equal variances)", "all cells", *figures[0], *figures[1])]
    theirs = {(x.condition, x.size): x for x in other.shapiro}
    for x in one.shapiro:
        y = theirs[x.condition, x.size]
        figures = [(_number(z.statistic), _p(z.p)) for z in (x, y)]
        rows.append(("Shapiro-Wilk (normal)", f"{x.condition}, {x.size}", *figures[0], *figures[1]))
    head = ("Test", "Cell", "F or W", "p", f"F or W, {ALL}", f"p, {ALL}")
    reasons = [one.levene.reason, other.levene.reason]
    reasons += [x.reason for x in (*one.shapiro, *other.shapiro)]
    return Grid("Assumptions", head, tuple(rows), 2, _reasons(reasons))


def _anova(one: PaperAnalysis, other: PaperAnalysis) -> Grid:
    theirs = {x.effect: x for x in other.anova.effects}
    rows = []
    for x in one.anova.effects:
        row = (x.effect, f"{x.df_num}, {x.df_den}", _number(x.F), _p(x.p), _number(x.ges))
        y = theirs.get(x.effect)
        rest = (NONE,) * 4
        if y is not None:
            rest = (f"{y.df_num}, {y.df_den}", _number(y.F), _p(y.p), _number(y.ges))
        rows.append(row + rest)
    names = ("df", "F", "p", "ges")
    head = ("Effect", *names, *(f"{name}, {ALL}" for name in names))
    note = _reasons([one.anova.reason, other.anova.reason])
    return Grid("ANOVA, type II (ges: generalised eta squared)", head, tuple(rows), 1, note)


def _tukey(one: PaperAnalysis, other: PaperAnalysis) -> Grid:
    theirs = {(x.size, x.a, x.b): x for x in other.tukey}
    rows = []
    for x in one.tukey:
        y = theirs[x.size, x.a, x.b]
        figures = [(points(z.difference), _range(z.ci_low, z.ci_high), _p(z.p_adj)) for z in (x, y)]
        rows.append((x.size, f"{x.a} - {x.b}", *figures[0], *figures[1]))
    names = ("Points", "95 % interval", "p")
    head = ("Size", "Pair", *names, *(f"{name}, {ALL}" for name in names))
    note = _reasons([x.reason for x in (*one.tukey, *other.tukey)])
    return Grid("Tukey's HSD for each size", head, tuple(rows), 2, note)


def _pairs(pairs: Sequence[PairResult], title: str) -> Grid:
    head = ("Size", "Pair", "Runs", "Points", "95 % interval", "p", "p, Holm", "A", "95 % of A")
    note = (
        "A: how often a run of the first beats one of the second. g: difference in standard "
        "deviations. Found from: the smallest true difference, in points, that the uncorrected "
        "test finds in 80 % of such experiments."
    )
    return Grid(title, (*head, "g", "Found from"), tuple(map(_pair, pairs)), 3, note)


def _pair(x: PairResult) -> tuple[str, ...]:
    runs = f"{x.pairs} pairs" if x.pairs is not None else f"{x.n_a} and {x.n_b}"
    effect = x.vargha_delaney
    return (
        *(x.size, f"{x.a} - {x.b}", runs, points(x.difference)),
        *(_range(x.interval.low, x.interval.high), _p(x.p), _p(x.p_adj)),
        *(_number(effect.a), f"{effect.ci_low:.2f} to {effect.ci_high:.2f}"),
        *(_number(x.hedges.g), NONE if x.detectable is None else points(x.detectable)),
    )


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def _p(p: float | None) -> str:
    if p is None:
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.4f}"


def _range(low: float | None, high: float | None) -> str:
    return NONE if low is None or high is None else f"{points(low)} to {points(high)}"


def _reasons(reasons: list[str | None]) -> str:
    """Return as a sentence why figures are missing."""
    told = list(dict.fromkeys(reason for reason in reasons if reason))
    return f"Missing figures: {'; '.join(told)}." if told else ""
