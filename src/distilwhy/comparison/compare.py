"""All of a comparison: reads runs, analyses them, and gives every number under stable keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from distilwhy.comparison.paper import PaperResult, paper_analysis
from distilwhy.comparison.read import read_runs
from distilwhy.comparison.robust import RobustAnalysis, robust_analysis
from distilwhy.comparison.runs import RunSet, Unit
from distilwhy.errors import DataError
from distilwhy.records import Record

Mode = Literal["robust", "paper", "both"]


class Comparison(Record):
    """A comparison's runs and results.

    Args:
        mode: Which analyses were asked for.
        runs: The runs compared.
        paper: The paper's analysis; ``None`` where it was not asked for.
        robust: The robust one; ``None`` where it was not asked for.
    """

    mode: Mode
    runs: RunSet
    paper: PaperResult | None = None
    robust: RobustAnalysis | None = None

    def figures(self) -> dict[str, Any]:
        """Return every number, unrounded, as JSON takes it.

        The paper's analysis stands at the top (``means``, ``outliers``, ``levene``, ``shapiro``,
        ``anova``, ``tukey``, ``conclusions``), the same with every run under ``all_runs``, the
        robust one under ``robust``.
        """
        told: dict[str, Any] = {
            "mode": self.mode,
            "origin": self.runs.origin,
            "unit": self.runs.unit,
            "runs": len(self.runs.runs),
            "conditions": list(self.runs.conditions),
            "sizes": list(self.runs.sizes),
        }
        if self.paper is not None:
            told["left_out"] = self.paper.left_out
            told |= self.paper.trimmed.model_dump(mode="json")
            told["all_runs"] = self.paper.all_runs.model_dump(mode="json")
        if self.robust is not None:
            told["robust"] = self.robust.model_dump(mode="json")
        return told


def compare(
    paths: Path | str | Sequence[Path | str],
    mode: Mode = "robust",
    *,
    unit: Unit | Literal["auto"] = "auto",
    other_conditions: bool = False,
    conditions: Sequence[str] = (),
    unpaired: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare conditions over the runs of some files.

    Args:
        paths: One or several of tables, ``metrics.json`` files and folders of experiments.
        mode: ``paper`` (ANOVA, Tukey), ``robust`` (permutation tests, bootstrap) or ``both``.
        unit: How tables write accuracies, see :func:`~distilwhy.comparison.read.read_runs`.
        other_conditions: Whether conditions of tables that the paper's files do not have are kept.
        conditions: Compare these only, by their names in the results; all when empty.
        unpaired: Whether runs of equal name are taken as independent of each other.
        seed: Seed of all draws.

    Raises:
        DataError: When anything is wrong with the files, or there is nothing to compare.
    """
    several = [paths] if isinstance(paths, str | Path) else paths
    runs = read_runs([Path(path) for path in several], unit, other_conditions)
    if unknown := [name for name in conditions if name not in runs.conditions]:
        raise DataError(
            f"No run is of condition {', '.join(map(repr, unknown))}.",
            f"There are: {', '.join(runs.conditions)}.",
        )
    if conditions:
        runs = runs.keep(run for run in runs.runs if run.condition in conditions)
    return Comparison(
        mode=mode,
        runs=runs,
        paper=paper_analysis(runs) if mode != "robust" else None,
        robust=robust_analysis(runs, unpaired=unpaired, seed=seed) if mode != "paper" else None,
    )
