"""A study's results as tables of text or LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from distilwhy.grids import Grid
from distilwhy.human_study.analyse import StudyAnalysis
from distilwhy.human_study.paper import OUTCOMES, Description, PaperTests
from distilwhy.human_study.quality import Regression
from distilwhy.human_study.ratings import CONSTRUCTS
from distilwhy.human_study.robust_tables import robust_grids, robust_lines
from distilwhy.human_study.writing import NONE, estimate, number, p_value, reasons

Format = Literal["text", "latex"]

MOST_TERMS = 5
"""Terms that a note names; the JSON names all."""


def render(analysis: StudyAnalysis, form: Format = "text") -> str:
    """Return all results of a study.

    Args:
        analysis: The results.
        form: As aligned text, or as LaTeX for a paper (rules of booktabs).
    """
    latex = form == "latex"

    def shown(grids: Iterable[Grid]) -> list[str]:
        return [grid.latex() if latex else grid.text() for grid in grids]

    opening = (
        f"{analysis.n} rated explanations, {analysis.participants} participants, "
        f"{len(analysis.conditions)} conditions."
    )
    parts = ["\n".join([opening, *analysis.notes]), *shown(_described(analysis.described))]
    if analysis.paper is not None:
        parts += ["Paper mode: every rating counts as independent", *shown(_paper(analysis.paper))]
    if analysis.robust is not None:
        parts += ["Robust mode: participants are kept apart", *shown(robust_grids(analysis.robust))]
        parts.append("\n".join(robust_lines(analysis.robust)))
    if latex:
        # All but tables stand as comments, so that the whole can be read in by \input.
        parts = [
            part if part.startswith(r"\begin") else "\n".join(f"% {x}" for x in part.split("\n"))
            for part in parts
        ]
    return "\n\n".join(parts)


def _described(described: Description) -> Iterator[Grid]:
    conditions = list(described.means[OUTCOMES[0]])
    rows = tuple(
        (name, *(estimate(m.mean, m.se) + f" ({m.n})" for m in by_condition.values()))
        for name, by_condition in described.means.items()
    )
    told = [m.reason for by_condition in described.means.values() for m in by_condition.values()]
    title = "Mean rating and its standard error (ratings)"
    yield Grid(title, ("Construct", *conditions), rows, 1, reasons(told))
    pairs = {(x.a, x.b): x for x in described.correlations}
    rows = tuple(
        (
            a,
            *(number(pairs[a, b].r) if (a, b) in pairs else "" for b in CONSTRUCTS[1:]),
        )
        for a in CONSTRUCTS[:-1]
    )
    alpha = described.alpha
    note = f"Cronbach's alpha {number(alpha.alpha)}"
    if alpha.ci_low is not None:
        note += f" (95 % interval {number(alpha.ci_low)} to {number(alpha.ci_high)})"
    note += f", {alpha.n} whole rows."
    note = " ".join([note, reasons([alpha.reason, *(x.reason for x in pairs.values())])]).strip()
    yield Grid(
        "Correlations of constructs (Pearson)", ("Construct", *CONSTRUCTS[1:]), rows, 1, note
    )


def _paper(paper: PaperTests) -> Iterator[Grid]:
    yield _assumptions(paper)
    yield _kruskal(paper)
    yield _pairs(paper)
    yield _npmv(paper)
    yield _regression("OLS of quality, outliers left out", paper.ols)
    yield _regression("OLS of quality with demographics, outliers left out", paper.ols_demographics)


def _assumptions(paper: PaperTests) -> Grid:
    rows = [
        ("Levene (equal variances)", name, "all", number(x.F), p_value(x.p))
        for name, x in paper.levene.items()
    ]
    rows += [
        ("Shapiro-Wilk (normal)", name, condition, number(x.W), p_value(x.p))
        for name, by_condition in paper.shapiro.items()
        for condition, x in by_condition.items()
    ]
    told = [x.reason for x in paper.levene.values()]
    told += [x.reason for by_condition in paper.shapiro.values() for x in by_condition.values()]
    head = ("Test", "Construct", "Condition", "F or W", "p")
    return Grid("Assumptions", head, tuple(rows), 3, reasons(told))


def _kruskal(paper: PaperTests) -> Grid:
    rows = tuple(
        (name, number(x.H), NONE if x.df is None else str(x.df), p_value(x.p), str(x.n))
        for name, x in paper.kruskal.items()
    )
    note = reasons(x.reason for x in paper.kruskal.values())
    return Grid("Kruskal-Wallis", ("Construct", "H", "df", "p", "n"), rows, 1, note)


def _pairs(paper: PaperTests) -> Grid:
    rows = tuple(
        (
            *(name, x.a, x.b, number(x.z), p_value(x.p), p_value(x.p_adj)),
            *(number(y.A), y.size or NONE),
        )
        for name in CONSTRUCTS
        for x, y in zip(paper.dunn[name], paper.vda[name], strict=True)
    )
    told = [x.reason for pairs in paper.dunn.values() for x in pairs]
    told += [x.reason for pairs in paper.vda.values() for x in pairs]
    note = "z is positive where b is rated higher. A: how often a rating of a exceeds one of b."
    head = ("Construct", "a", "b", "z", "p", "p, Bonferroni", "A", "Size")
    title = "Dunn's test and Vargha and Delaney's A"
    return Grid(title, head, rows, 3, f"{note} {reasons(told)}".strip())


def _npmv(paper: PaperTests) -> Grid:
    tests = [("ANOVA type", paper.npmv.anova_type), ("Wilks' lambda", paper.npmv.wilks)]
    rows = tuple(
        (name, number(x.statistic), number(x.F), number(x.df1), number(x.df2), p_value(x.p))
        for name, x in tests
    )
    head = ("Statistic", "Value", "F", "df1", "df2", "p")
    note = reasons(x.reason for _, x in tests)
    return Grid("Nonparametric MANOVA (Burchett et al. 2017)", head, rows, 1, note)


def _regression(title: str, fit: Regression) -> Grid:
    rows = tuple(
        (
            term,
            number(fit.coef[term]),
            number(fit.se[term]),
            number(fit.t[term]),
            p_value(fit.p[term]),
        )
        for term in fit.coef
    )
    out = sum(fit.outliers.values())
    note = f"n = {fit.n}, R2 = {number(fit.r2)}; left out: {out} outliers and {fit.missing} rows "
    note += "with a missing value."
    if fit.on_fence:
        note += f" {fit.on_fence} of the outliers lie on a fence; R's rounding puts them outside."
    if fit.reference is not None:
        named = [fit.reference, *fit.references.values()]
        note += f" Compared with: {', '.join(named)}."
    note = f"{note} {_dropped(fit.dropped)} {reasons([fit.reason])}"
    return Grid(title, ("Term", "Coefficient", "SE", "t", "p"), rows, 1, " ".join(note.split()))


def _dropped(dropped: dict[str, str]) -> str:
    if not dropped:
        return ""
    by_reason: dict[str, Sequence[str]] = {}
    for term, reason in dropped.items():
        by_reason[reason] = [*by_reason.get(reason, ()), term]
    told = [f"{_some(terms)} ({reason})" for reason, terms in by_reason.items()]
    return f"Left out: {'; '.join(told)}."


def _some(terms: Sequence[str]) -> str:
    more = len(terms) - MOST_TERMS
    return ", ".join(terms[:MOST_TERMS]) + (f" and {more} more" if more > 0 else "")
