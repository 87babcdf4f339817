"""The paper's analysis: two-way ANOVA and Tukey's HSD, without outliers and with all runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean, stdev

from distilwhy.comparison.conclusions import Conclusion, tukey_conclusion
from distilwhy.comparison.runs import PAPER, Run, RunSet, ordered_conditions
from distilwhy.errors import DataError
from distilwhy.records import Record
from distilwhy.statistics.anova import Anova, TukeyPair, anova, tukey_hsd
from distilwhy.statistics.assumptions import Levene, ShapiroWilk, levene, shapiro_wilk
from distilwhy.statistics.outliers import fences, outliers


class CellMean(Record):
    """Accuracy of the runs of one condition and size.

    Args:
        condition: The condition.
        size: The student's size.
        n: Runs.
        mean: Mean accuracy, a share.
        sd: Sample standard deviation; ``None`` for a single run.
    """

    condition: str
    size: str
    n: int
    mean: float
    sd: float | None


class OutlierRun(Record):
    """A run outside the fences of its condition and size.

    Args:
        condition: The condition.
        size: The student's size.
        run: The run's name.
        accuracy: Its accuracy, a share.
        low: Lower fence.
        high: Upper fence.
        place: Where it was read.
    """

    condition: str
    size: str
    run: str
    accuracy: float
    low: float
    high: float
    place: str


class CellShapiro(ShapiroWilk):
    """The Shapiro-Wilk test of one condition and size.

    Args:
        condition: The condition.
        size: The student's size.
    """

    condition: str
    size: str


class SizeTukey(TukeyPair):
    """Tukey's comparison of two conditions at one size.

    Args:
        size: The student's size.
    """

    size: str


class PaperAnalysis(Record):
    """The paper's analysis of one selection of runs.

    Args:
        means: Means by condition and size.
        outliers: The runs that were taken out before; none where all runs are analysed.
        levene: Levene's test over all cells.
        shapiro: Shapiro-Wilk of each cell.
        anova: ANOVA of type II: condition, size and their interaction; with a single size, of
            condition alone.
        tukey: Tukey's HSD of each pair of conditions, for each size by itself.
        conclusions: What Tukey's tests allow to be said, in the same order.
    """

    means: tuple[CellMean, ...]
    outliers: tuple[OutlierRun, ...] = ()
    levene: Levene
    shapiro: tuple[CellShapiro, ...]
    anova: Anova
    tukey: tuple[SizeTukey, ...]
    conclusions: tuple[Conclusion, ...] = ()


class PaperResult(Record):
    """The paper's analysis done twice.

    Args:
        left_out: By condition, runs that are none of the paper's four conditions.
        trimmed: The analysis without outliers, which is the paper's.
        all_runs: The same with every run.
    """

    left_out: dict[str, int]
    trimmed: PaperAnalysis
    all_runs: PaperAnalysis


def paper_analysis(runs: RunSet) -> PaperResult:
    """Analyse runs as the paper does, and the same without taking outliers out.

    Args:
        runs: All runs; those of other conditions than the paper's four are left out and counted.

    Raises:
        DataError: When fewer than two of the four conditions have runs, or no size has two.
    """
    mine = runs.keep(run for run in runs.runs if run.condition in PAPER)
    names = ordered_conditions(run.condition for run in runs.runs if run.condition not in PAPER)
    left_out = {name: sum(run.condition == name for run in runs.runs) for name in names}
    if len(mine.conditions) < 2:
        only = f"only {mine.conditions[0]}" if mine.conditions else "none"
        others = f"; there is also {', '.join(names)}" if names else ""
        raise DataError(
            f"Of the paper's four conditions ({', '.join(PAPER)}) {only} has runs{others}.",
            "Give runs of at least two of them, or compare all conditions with --mode robust.",
        )
    if all(len(_groups(mine, size)) < 2 for size in mine.sizes):
        raise DataError(
            "No size has runs of two of the paper's conditions.", "Give runs of the same size."
        )
    found = _outliers(mine)
    taken = {outlier.place for outlier in found}
    trimmed = _analyse(mine.keep(run for run in mine.runs if run.place not in taken), found)
    everything = _analyse(mine, ())
    return PaperResult(
        left_out=left_out,
        trimmed=_concluded(trimmed, everything, found, "With all runs"),
        all_runs=_concluded(everything, trimmed, found, "Without outliers"),
    )


def _outliers(runs: RunSet) -> tuple[OutlierRun, ...]:
    found = []
    for size in runs.sizes:
        for condition in runs.conditions:
            cell = runs.cell(condition, size)
            values = [run.accuracy for run in cell]
            for run, outside in zip(cell, outliers(values), strict=True):
                if outside:
                    limits = fences(values)
                    told = run.model_dump(include={"condition", "size", "run", "accuracy", "place"})
                    found.append(OutlierRun(**told, low=limits.low, high=limits.high))
    return tuple(found)


def _analyse(runs: RunSet, found: tuple[OutlierRun, ...]) -> PaperAnalysis:
    cells = [
        (condition, size, [run.accuracy for run in runs.cell(condition, size)])
        for size in runs.sizes
        for condition in runs.conditions
        if runs.cell(condition, size)
    ]
    # In a fixed order, so that not even a last digit hangs on the order of the file's rows.
    ordered = [
        run for size in runs.sizes for c in runs.conditions for run in _sorted(runs, c, size)
    ]
    factors = {
        "condition": [run.condition for run in ordered],
        "size": [run.size for run in ordered],
    }
    return PaperAnalysis(
        means=tuple(
            CellMean(
                condition=condition,
                size=size,
                n=len(values),
                mean=fmean(values),
                sd=stdev(values) if len(values) > 1 else None,
            )
            for condition, size, values in cells
        ),
        outliers=found,
        levene=levene([sorted(values) for _, _, values in cells]),
        shapiro=tuple(
            CellShapiro(condition=condition, size=size, **shapiro_wilk(sorted(values)).model_dump())
            for condition, size, values in cells
        ),
        anova=anova([run.accuracy for run in ordered], factors),
        tukey=tuple(
            SizeTukey(size=size, **pair.model_dump())
            for size in runs.sizes
            if len(groups := _groups(runs, size)) > 1
            for pair in tukey_hsd(groups)
        ),
    )


def _sorted(runs: RunSet, condition: str, size: str) -> list[Run]:
    return sorted(runs.cell(condition, size), key=lambda run: run.accuracy)


def _groups(runs: RunSet, size: str) -> dict[str, list[float]]:
    """Return the accuracies of each condition that has runs of a size."""
    cells = {name: _sorted(runs, name, size) for name in runs.conditions}
    return {name: [run.accuracy for run in cell] for name, cell in cells.items() if cell}


def _concluded(
    analysis: PaperAnalysis,
    other: PaperAnalysis,
    found: Sequence[OutlierRun],
    label: str,
) -> PaperAnalysis:
    """Add conclusions, each with what the other selection of runs says where it differs."""
    theirs = {(pair.size, pair.a, pair.b): pair for pair in other.tukey}
    taken = {size for size, _ in groupby(found, key=lambda outlier: outlier.size)}
    said = [
        tukey_conclusion(
            pair.size,
            pair,
            theirs.get((pair.size, pair.a, pair.b)) if pair.size in taken else None,
            label,
        )
        for pair in analysis.tukey
    ]
    return analysis.model_copy(update={"conclusions": tuple(said)})
