"""Reads all files of a comparison into one set of runs, and tells all faults together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from distilwhy.comparison.folders import read_metrics_file, read_run_folder
from distilwhy.comparison.run_table import COLUMNS, read_run_table
from distilwhy.comparison.runs import (
    Origin,
    Run,
    RunSet,
    Unit,
    flag_collapsed,
    ordered_conditions,
    ordered_sizes,
)
from distilwhy.errors import DataError, Fault, UserError, raise_faults
from distilwhy.files import read_json

REMEDY = (
    "Mend the tables (--other-conditions keeps conditions that the paper does not have); finish "
    "experiments with distilwhy run, or give those metrics.json files that there are."
)


def read_runs(
    paths: Sequence[Path],
    unit: Unit | Literal["auto"] = "auto",
    other_conditions: bool = False,
) -> RunSet:
    """Read runs from tables, or from metrics.json files and folders of experiments.

    Args:
        paths: The files and folders.
        unit: How tables write accuracies. ``auto``: as shares when all are at most 1, as percent
            when all are above 1, zeros left aside; anything else is refused.
        other_conditions: Whether conditions of tables that the paper's files do not have are kept
            under their own names rather than refused.

    Raises:
        DataError: When anything is wrong with the files; all of it in one message.
    """
    if not paths:
        raise DataError("No file to compare was given.", "Give tables or folders of experiments.")
    runs: dict[Origin, list[Run]] = {"tables": [], "experiments": []}
    faults: list[Fault] = []
    for path in dict.fromkeys(paths):
        try:
            origin, found, wrong = _read(path, other_conditions)
        except UserError as error:
            what = error.message.removeprefix(str(path)).lstrip(": ").rstrip(".")
            faults.append(Fault(str(path), what))
            continue
        runs[origin] += found
        faults += wrong
    subject = str(paths[0]) if len(paths) == 1 else "The comparison"
    tables, experiments = runs["tables"], runs["experiments"]
    found_unit, wrong = _unit_of(tables, unit)
    faults += [*wrong, *_doubled(tables), *_doubled(experiments), *_other_questions(experiments)]
    raise_faults(DataError, subject, faults, REMEDY)
    if tables and experiments:
        raise DataError(
            f"{tables[0].place} is a table and {experiments[0].place} a run of an experiment; "
            "whether both are of the same test questions is not known.",
            f"Compare them apart, or write all runs into one table ({', '.join(COLUMNS)}).",
        )
    if experiments:
        return RunSet(runs=_ordered(experiments), origin="experiments")
    scale = 100 if found_unit == "percent" else 1
    shares = [run.model_copy(update={"accuracy": run.accuracy / scale}) for run in tables]
    return RunSet(runs=flag_collapsed(_ordered(shares)), origin="tables", unit=found_unit)


def _read(path: Path, others: bool) -> tuple[Origin, list[Run], list[Fault]]:
    if path.is_dir():
        return ("experiments", *read_run_folder(path))
    if path.suffix.lower() == ".json" and isinstance(read_json(path), dict):
        run, faults = read_metrics_file(path)
        return "experiments", [run] if run else [], faults
    return ("tables", *read_run_table(path, others))


def _ordered(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return runs in an order that is their own, so that no figure hangs on that of the files."""
    sizes = ordered_sizes(run.size for run in runs)
    conditions = ordered_conditions(run.condition for run in runs)

    def place(run: Run) -> tuple[int, int, int, str]:
        names = sizes.index(run.size), conditions.index(run.condition)
        return (*names, len(run.run), run.run)

    return tuple(sorted(runs, key=place))


def _unit_of(runs: Sequence[Run], unit: Unit | Literal["auto"]) -> tuple[Unit, list[Fault]]:
    """Return how tables write accuracies, and what speaks against it."""
    small = [run for run in runs if 0 < run.accuracy <= 1]
    large = [run for run in runs if run.accuracy > 1]
    if unit == "share":
        return unit, [Fault(run.place, f"accuracy {run.accuracy} is no share") for run in large]
    if unit == "percent" or not small:
        return ("percent" if unit == "percent" or large else "share"), []
    if not large:
        return "share", []
    what = (
        f"accuracies above 1 ({large[0].accuracy} in {large[0].place}) and of at most 1 "
        f"({small[0].accuracy} in {small[0].place}) stand side by side, so that percent and shares "
        "cannot be told apart; say which by --unit, or write all in one way"
    )
    return "percent", [Fault("test accuracy", what)]


def _doubled(runs: Sequence[Run]) -> list[Fault]:
    """Return the runs that stand twice."""
    first: dict[tuple[str, str, str], str] = {}
    faults = []
    for run in runs:
        key = (run.condition, run.size, run.run)
        if key in first:
            what = f"run {run.run} of {run.condition}, {run.size}, stands in {first[key]} too"
            faults.append(Fault(run.place, what))
        first.setdefault(key, run.place)
    return faults


def _other_questions(runs: Sequence[Run]) -> list[Fault]:
    """Return the runs that were measured on another number of questions than the first."""
    return [
        Fault(
            run.place,
            f"has {run.questions} test questions, {runs[0].place} {runs[0].questions}; runs of "
            "other questions cannot be compared",
        )
        for run in runs
        if run.questions != runs[0].questions
    ]
