"""A sweep: short runs over named values of training settings, judged by held-out training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml

from distilwhy.config import (
    Condition,
    RaySettings,
    StudentSettings,
    TrainingSettings,
    validate,
)
from distilwhy.errors import ConfigError, StageError
from distilwhy.files import (
    atomic_text,
    read_records,
    write_json,
    write_records,
)
from distilwhy.manifests import manifest_path
from distilwhy.outputs import make_folder
from distilwhy.pipeline.trial import Trial, TrialRun
from distilwhy.progress import say
from distilwhy.records import Annotation, Record
from distilwhy.tasks.rows import draw

Engine = Literal["local", "ray"]

LENGTH = ("epochs", "max_steps")
"""Settings that say how long a trial is, and no more of the training that it is for."""

NOT_COMPARABLE = {
    "held_out": "other rows would be held out",
    "seed": "other rows would be held out",
    "max_source_tokens": "the held-out loss would be of other tokens",
    "max_target_tokens": "the held-out loss would be of other tokens",
    "tag": "the held-out loss would be of other tokens",
    "spike": "it changes no weight",
    "trackers": "it changes no weight",
}
CHOSEN = "training.yaml"


class Sweep(Record):
    """What a sweep found.

    Args:
        trials: All trials, in the order of the values given.
        chosen: The values of the trial with the lowest held-out loss.
        settings: The YAML file with the settings chosen, which ``run`` and ``train`` take.
        edges: Settings whose chosen value is the lowest or highest of three or more: better ones
            may lie beyond.
    """

    trials: tuple[Trial, ...]
    chosen: dict[str, Any]
    settings: str
    edges: tuple[str, ...] = ()


def sweep(
    annotations: str | Path,
    out: str | Path,
    values: Mapping[str, Sequence[Any]],
    *,
    student: StudentSettings | str,
    condition: Condition | str = "multitask",
    settings: TrainingSettings | None = None,
    limit: int | None = None,
    engine: Engine = "local",
    ray: RaySettings | None = None,
) -> Sweep:
    """Try all combinations of values and choose by the loss on held-out *training* rows.

    Trials that are done are not done again, and one that was interrupted goes on from its
    checkpoint. No test question is looked at.

    Args:
        annotations: The annotations file.
        out: Folder to write the trials' results and the chosen settings to.
        values: What to try, by the name of a training setting, e.g. ``{"learning_rate": [1e-5]}``.
        student: The base model, or its model string alone.
        condition: Method, weights and data kind, or the method's name alone.
        settings: All other settings; ``epochs`` or ``max_steps`` say how long a trial is.
        limit: Use so many examples at most, drawn by seed.
        engine: ``local``: one trial after another here; ``ray``: as many at once as a Ray cluster
            has room for, by Ray Tune.
        ray: The cluster, and what a trial needs of it.

    Raises:
        UserError: When a name or value, the data or the model cannot be used.
        StageError: When every trial was stopped.
    """
    annotations, out = Path(annotations), Path(out)
    base = settings or TrainingSettings()
    student = StudentSettings(model=student) if isinstance(student, str) else student
    condition = Condition(method=condition) if isinstance(condition, str) else condition
    if ray is not None and engine != "ray":
        raise ConfigError(
            "What a trial needs of a Ray cluster has no effect here.", "Add --engine ray."
        )
    tried = combinations(values, base)
    make_folder(out)
    if limit is not None:
        annotations = _subset(annotations, out, limit, base.seed)
    runs = [
        TrialRun(annotations, out / "trials", student, condition, one, changed)
        for one, changed in tried
    ]
    _check(runs)
    if engine == "ray":
        from distilwhy.pipeline.sweep_ray import run_on_ray

        run_on_ray(runs, out, ray or RaySettings())
    trials = []
    for number, run in enumerate(runs, 1):
        say(f"Trial {number} of {len(runs)}: {run.label}.")
        trials.append(run.run())
    return _conclude(trials, values, base, out)


def _check(runs: Sequence[TrialRun]) -> None:
    """Refuse what the training of a trial would refuse, before the first is run."""
    unfinished = [run for run in runs if not manifest_path(run.result).is_file()]
    if not unfinished:
        return
    from distilwhy.training.checks import check_training  # loads torch

    records = read_records(unfinished[0].annotations, Annotation)
    families = {record.example.family for record in records}
    for run in unfinished:
        check_training(run.student, run.condition, run.settings, families)


def combinations(
    values: Mapping[str, Sequence[Any]], base: TrainingSettings
) -> list[tuple[TrainingSettings, dict[str, Any]]]:
    """Return the settings of each trial, and which of them are tried, all faults told together.

    Raises:
        ConfigError: When a name or value cannot be used, or nothing is held out.
    """
    if not values:
        raise ConfigError("A sweep needs values to try.", "Give e.g. learning_rate=1e-5,1e-4.")
    for name, reason in NOT_COMPARABLE.items():
        if name in values:
            raise ConfigError(
                f"{name} cannot be swept: {reason}.", "Sweep e.g. learning_rate or batch_size."
            )
    if not base.held_out:
        raise ConfigError("A sweep chooses by held-out rows.", "Give a held_out above 0.")
    if "epochs" in values and ("max_steps" in values or base.max_steps is not None):
        raise ConfigError(
            "epochs cannot be swept beside max_steps, which says how long a trial is instead.",
            "Leave max_steps away.",
        )
    fields = base.model_dump()
    found: list[tuple[TrainingSettings, dict[str, Any]]] = []
    for combination in product(*values.values()):
        changes = dict(zip(values, combination, strict=True))
        one = validate(TrainingSettings, {**fields, **changes}, "the sweep")
        tried = {name: one.model_dump(mode="json")[name] for name in values}
        # The same value can be written in several ways.
        if all(tried != other for _, other in found):
            found.append((one, tried))
    return found


def _subset(annotations: Path, out: Path, limit: int, seed: int) -> Path:
    records = read_records(annotations, Annotation)
    given = {record.example.id: record for record in records}
    path = out / "annotations.jsonl"
    chosen = draw([record.example for record in records], limit, seed)
    write_records(path, [given[example.id] for example in chosen])
    return path


def _conclude(
    trials: Sequence[Trial], values: Mapping[str, Sequence[Any]], base: TrainingSettings, out: Path
) -> Sweep:
    """Choose, and write what was chosen and the whole result."""
    whole = [trial for trial in trials if trial.held_out_loss is not None]
    if not whole:
        raise StageError(
            f"Each of the {len(trials)} trials stopped, e.g.: {trials[0].stopped}. "
            "Try lower learning rates."
        )
    best = min(whole, key=lambda trial: trial.held_out_loss or 0.0)
    given = base.model_dump(mode="json", exclude_unset=True)
    kept = {name: value for name, value in given.items() if name not in LENGTH} | best.values
    path = out / CHOSEN
    with atomic_text(path) as stream:
        stream.write("# Chosen by distilwhy sweep, by the loss on held-out training rows.\n")
        yaml.safe_dump(kept, stream, sort_keys=False)
    found = Sweep(
        trials=tuple(trials),
        chosen=best.values,
        settings=str(path),
        edges=tuple(_edges(trials, best, values)),
    )
    write_json(out / "sweep.json", found.model_dump(mode="json"))
    return found


def _edges(trials: Sequence[Trial], best: Trial, values: Mapping[str, Sequence[Any]]) -> list[str]:
    edges = []
    for name in values:
        there = {trial.values[name] for trial in trials}
        numbers = sorted(v for v in there if isinstance(v, int | float) and v is not None)
        if len(numbers) > 2 and best.values[name] in (numbers[0], numbers[-1]):
            edges.append(name)
    return edges
