"""From a run's folder to the records of its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from distilwhy.comparison.compare import compare
from distilwhy.comparison.robust import RobustAnalysis
from distilwhy.config import to_yaml
from distilwhy.environment import machine, versions
from distilwhy.evaluation.contamination import contamination
from distilwhy.evaluation.paired import mcnemar
from distilwhy.files import read_json, read_records
from distilwhy.judging.preference import Preferences
from distilwhy.manifests import manifest_path, read_manifest
from distilwhy.pipeline import stages
from distilwhy.pipeline.beside import cost_path, costs_path, outcome_path, read_cost, read_outcome
from distilwhy.pipeline.cells import Cell, entry_name, swaps_tags
from distilwhy.pipeline.measuring import measure_files, measures_folder, read_measures
from distilwhy.records import Annotation, Prediction
from distilwhy.report import Comparison, Entry, GateCounts, ReportData, TeachingFigure, TokenCounts
from distilwhy.report.appendix import appendix
from distilwhy.tasks import load_task
from distilwhy.teaching.gates import count_flags
from distilwhy.teaching.outcome import Outcome

if TYPE_CHECKING:
    from distilwhy.pipeline.experiment import ExperimentRun

SAMPLES = 3


def collect(run: ExperimentRun) -> ReportData:
    """Read all that the report shows from a run's files.

    Args:
        run: The run; its cells are done.
    """
    annotations = read_records(run.annotations, Annotation)
    entries = [entry for cell in run.cells for entry in _entries_of(run, cell)]
    if run.asks_teacher:
        entries.append(_entry("teacher", run.teacher_predictions, "teacher"))
    entries += [_entry(name, run.baseline(name), "baseline") for name in stages.BASELINES]
    seconds = _stage_seconds(run)
    task = load_task(run.experiment.task, run.base).name
    return ReportData(
        title=run.experiment.name,
        generated=datetime.now().astimezone(),
        task=task,
        n_train=len(annotations),
        n_validation=0,
        n_test=len(run.test),
        config_yaml=to_yaml(run.experiment),
        versions=versions(),
        machine=machine().model_dump(),
        seconds=sum(seconds.values()),
        stage_seconds=seconds,
        gates={
            step: GateCounts(n=counts.n, flags=counts.flags)
            for step, counts in count_flags(annotations).items()
        },
        tokens=_tokens(run.drafts),
        outcome=tuple(_outcome(run.drafts)),
        entries=tuple(entries),
        comparisons=tuple(_comparisons(entries, run.experiment.seed)),
        samples=tuple(annotations[:SAMPLES]),
        preferences=_preferences(run),
        over_seeds=_over_seeds(run),
        contamination=contamination(
            entries[0].predictions, [a.example for a in annotations], seed=run.experiment.seed
        ),
        appendix=appendix(run.experiment, task, len(annotations), len(run.test)),
    )


def _entries_of(run: ExperimentRun, cell: Cell) -> Iterator[Entry]:
    """Yield a cell's student and, where it is asked so, the same with its tags swapped."""
    name, label, control = entry_name(cell, run.cells), cell.condition.label, cell.condition.control
    facts = {"student": cell.student.label, "seed": cell.seed}
    kind = "control" if control else "student"
    measures = tuple(read_measures(measures_folder(cell.figures)))
    asked = {"condition": label, "control": control, "measures": measures}
    yield _entry(name, cell.predictions, kind, **asked, **facts)
    if swaps_tags(run.experiment, cell):
        swapped = {"condition": f"{label}, tags swapped", "control": "swapped_tags"}
        entry = _entry(f"{name}, tags swapped", cell.swapped, "control", **swapped, **facts)
        # Its training is the student's, where it is told; answers spoiled on purpose may be alike.
        metrics = entry.metrics.model_copy(update={"training": None, "collapsed": ()})
        yield entry.model_copy(update={"metrics": metrics})


def files_of(run: ExperimentRun) -> list[Path]:
    """Return the files that a report is made from, as far as they exist."""
    predictions = [cell.predictions for cell in run.cells]
    predictions += [cell.swapped for cell in run.cells if swaps_tags(run.experiment, cell)]
    predictions += [run.baseline(name) for name in stages.BASELINES]
    if run.asks_teacher:
        predictions.append(run.teacher_predictions)
    files = [run.annotations, cost_path(run.drafts), outcome_path(run.drafts), *predictions]
    files += map(costs_path, predictions)
    files += [path for cell in run.cells for path in measure_files(measures_folder(cell.figures))]
    files += [run.preferences] if run.experiment.explanations.pairs else []
    return [path for path in files if path.is_file()]


def _preferences(run: ExperimentRun) -> Preferences | None:
    """Return what the judge prefers, where it was asked."""
    if not run.experiment.explanations.pairs or not run.preferences.is_file():
        return None
    return Preferences.model_validate(read_json(run.preferences))


def _entry(name: str, path: Path, kind: str, **facts: object) -> Entry:
    return Entry.model_validate(
        {
            "name": name,
            "kind": kind,
            "metrics": stages.evaluate(path),
            "predictions": tuple(read_records(path, Prediction)),
            **facts,
        }
    )


def _over_seeds(run: ExperimentRun) -> RobustAnalysis | None:
    """Compare conditions over seeds, where there are several of both."""
    experiment = run.experiment
    if len(experiment.seeds) < 2 or len(experiment.conditions) < 2:
        return None
    return compare(run.folder, seed=experiment.seed).robust


def _comparisons(entries: Sequence[Entry], seed: int) -> list[Comparison]:
    """Compare first-seed students with each other, with the majority and with the teacher."""
    first: dict[tuple[str | None, str | None], Entry] = {}
    for entry in entries:
        if entry.kind in ("student", "control"):
            first.setdefault((entry.student, entry.condition), entry)
    students = list(first.values())
    others = [e for e in entries if e.kind == "teacher" or e.name == "majority"]
    pairs = [(a, b) for place, a in enumerate(students) for b in [*students[place + 1 :], *others]]
    return [_comparison(a, b, seed) for a, b in pairs]


def _comparison(a: Entry, b: Entry, seed: int) -> Comparison:
    paired = mcnemar(a.predictions, b.predictions, seed)
    return Comparison(
        a=a.name,
        b=b.name,
        difference=paired.difference,
        ci_low=paired.ci_low,
        ci_high=paired.ci_high,
        p=paired.p,
        n=paired.n,
        only_a_right=paired.only_first_right,
        only_b_right=paired.only_second_right,
    )


def _tokens(annotations: Path) -> dict[str, TokenCounts]:
    cost = read_cost(annotations)
    if cost is None:
        return {}
    return {
        step: TokenCounts(
            prompt=part.prompt_tokens + part.stored_prompt_tokens,
            completion=part.completion_tokens + part.stored_completion_tokens,
        )
        for step, part in cost.steps.items()
    }


def _outcome(annotations: Path) -> Iterator[TeachingFigure]:
    """Yield what the methods of generation brought, as far as any was used."""
    found = read_outcome(annotations) or Outcome()
    if answers := found.own_answers:
        name = "Questions that the teacher answered readably"
        yield TeachingFigure(name=name, count=answers.answered, total=answers.questions)
    if answers and answers.gold_known:
        name = "Of its answers, those that agree with gold"
        yield TeachingFigure(name=name, count=answers.agree_with_gold, total=answers.gold_known)
    if own := found.own_rationales:
        name = "Its own rationales that led to the label"
        yield TeachingFigure(name=name, count=own.leading, total=own.samples)
        name = "Questions with a rationale of its own"
        yield TeachingFigure(name=name, count=own.kept, total=own.questions)
    if rounds := found.rounds:
        total = sum(rounds.examples.values())
        for number, count in rounds.examples.items():
            name = f"Examples with {number} round{'' if number == 1 else 's'} of critique"
            yield TeachingFigure(name=name, count=count, total=total)
        name = "Examples settled before a further round"
        yield TeachingFigure(name=name, count=rounds.settled, total=total)


def _stage_seconds(run: ExperimentRun) -> dict[str, float]:
    """Return each stage's duration from its manifest, so that a resumed run shows the whole."""
    outputs = {
        "generate": run.drafts,
        "ask the teacher": run.teacher_predictions,
    }
    for cell in run.cells:
        name = entry_name(cell, run.cells)
        outputs[f"train {name}"] = cell.trained
        outputs[f"predict {name}"] = cell.predictions
    return {
        name: read_manifest(output).seconds
        for name, output in outputs.items()
        if manifest_path(output).is_file()
    }
