"""``distilwhy sweep``: short runs over named values, chosen by held-out training rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilwhy.cli.shared import Json, Limit, set_options, settings_of, show, yaml_fields

if TYPE_CHECKING:
    from distilwhy.pipeline.sweep import Sweep
    from distilwhy.pipeline.trial import Trial


def sweep(
    values: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE,VALUE...", help="Settings and the values to try."),
    ],
    annotations: Annotated[Path, typer.Option(help="Annotations file, training examples only.")],
    student: Annotated[str, typer.Option(help="Base model, e.g. hf:NAME, a folder, embedded.")],
    out: Annotated[Path, typer.Option(help="Folder to write the trials and the choice to.")],
    condition: Annotated[
        Path | None, typer.Option(help="YAML file with a condition's fields.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Training method.")] = None,
    data: Annotated[str | None, typer.Option(help="Learn from unrevised or revised.")] = None,
    training: Annotated[
        Path | None, typer.Option(help="YAML file with all other training settings.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Length of a trial in passes.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Length of a trial in steps.")] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Train adapters of this rank.")] = None,
    limit: Limit = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: several trials at once.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Ray: trials at once.")] = None,
    cpus: Annotated[float | None, typer.Option(help="Ray: processors of a trial.")] = None,
    gpus: Annotated[float | None, typer.Option(help="Ray: GPUs of a trial.")] = None,
    as_json: Json = False,
) -> None:
    """Try values of training settings in short runs; finished trials are not run again."""
    from distilwhy.config import Condition, RaySettings, StudentSettings, TrainingSettings
    from distilwhy.errors import ConfigError
    from distilwhy.pipeline.sweep import sweep as run_sweep

    if engine not in ("local", "ray"):
        raise ConfigError(f"--engine is {engine!r}.", "Give local or ray.")
    place = set_options(workers=workers, cpus=cpus, gpus=gpus)
    lora = {"rank": lora_rank} if lora_rank is not None else None
    changed = set_options(epochs=epochs, max_steps=max_steps, seed=seed)
    base = {**yaml_fields(TrainingSettings, training), **changed}
    chosen = set_options(method=method, data=data)
    found = run_sweep(
        annotations,
        out,
        _named(values),
        student=settings_of(StudentSettings, {"model": student, "lora": lora}, "sweep"),
        condition=settings_of(Condition, {**yaml_fields(Condition, condition), **chosen}, "sweep"),
        settings=settings_of(TrainingSettings, base, "sweep"),
        limit=limit,
        engine="ray" if engine == "ray" else "local",
        ray=settings_of(RaySettings, place, "sweep") if place else None,
    )
    show(found, as_json, table(found))


def _named(texts: list[str]) -> dict[str, list[Any]]:
    """Return the values of each setting; the settings' own types read them later."""
    from distilwhy.errors import ConfigError

    named: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        parts = [part.strip() for part in listed.split(",")]
        if not equals or not name.strip() or not all(parts):
            raise ConfigError(
                f"{text!r} does not name values.", "Write e.g. learning_rate=1e-5,5e-5."
            )
        if name.strip() in named:
            raise ConfigError(f"{name.strip()!r} is named twice.", "Give all its values at once.")
        named[name.strip()] = [None if part == "null" else part for part in parts]
    return named


def table(found: Sweep) -> str:
    """Return the trials as a table, best first, and the choice in a sentence."""
    names = list(found.chosen)
    ranked = sorted(found.trials, key=lambda t: (t.held_out_loss is None, t.held_out_loss or 0.0))
    rows = [[*names, "held-out loss", "kept step", "seconds", ""]]
    rows += [_row(trial, names, trial.values == found.chosen) for trial in ranked]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(text.rjust(width) for text, width in zip(row[:-1], widths, strict=False))
        + f"  {row[-1]}"
        for row in rows
    ]
    for name in found.edges:
        lines.append(f"The best {name} is the last of those tried on its side: try further ones.")
    if ranked[0].collapsed:
        lines.append("Even the best learnt no more than how often each token occurs: try others.")
    lines.append(
        f"Chosen: {found.settings}. In an experiment file, write training: {{file: "
        f"{found.settings}}}; for one student, distilwhy train --training {found.settings}."
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(trial: Trial, names: list[str], best: bool) -> list[str]:
    loss = trial.held_out_loss
    notes = ["chosen"] if best else []
    notes += [f"collapsed: {'; '.join(trial.collapsed)}"] if trial.collapsed else []
    notes += [trial.stopped] if trial.stopped else []
    return [
        *("null" if trial.values[name] is None else f"{trial.values[name]}" for name in names),
        "-" if loss is None else f"{loss:.4f}",
        f"{trial.best_step}",
        f"{trial.seconds:.0f}",
        "; ".join(notes),
    ]
