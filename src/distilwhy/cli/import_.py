"""``distilwhy import``: published teacher outputs, or people's, into an annotations file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import Json, show


def import_(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet file, or folder of shard_* folders.")
    ],
    out: Annotated[Path, typer.Option(help="Annotations file to write.")],
    task: Annotated[
        str | None, typer.Option(help="commonsense_qa, esnli or strategyqa; told by the columns.")
    ] = None,
    explanation: Annotated[
        list[str] | None,
        typer.Option(help="Column of an explanation in rows of --task; may be given again."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who wrote the column --explanation.")] = "human",
    max_rejects: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of unusable rows.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Turn published teacher outputs, or people's explanations, into annotations.

    What the gates notice is counted.
    """
    from distilwhy.errors import ConfigError
    from distilwhy.files import write_records
    from distilwhy.manifests import begin_stage, write_manifest
    from distilwhy.outputs import check_output_file
    from distilwhy.teaching.explained import import_explanations
    from distilwhy.teaching.published import import_published

    if explanation and task is None:
        raise ConfigError("--explanation needs --task.", "Name the task that the rows are of.")
    check_output_file(out, source)
    settings = {"task": task, "max_rejects": max_rejects, "explanation": explanation, "by": by}
    run = begin_stage("import", {"source": source}, settings)
    rejects = out.with_name(f"{out.stem}.rejects.jsonl")
    if explanation and task is not None:
        result = import_explanations(
            source, task, explanation, by=by, max_rejects=max_rejects, rejects=rejects
        )
    else:
        result = import_published(source, task, max_rejects, rejects)
    write_records(out, result.annotations)
    write_manifest(out, run)
    lines = [f"{out}: {len(result.annotations)} annotations of {result.task}."]
    for step, counts in result.counts.items():
        flags = ", ".join(f"{name} {n}" for name, n in counts.flags.items() if n) or "no flags"
        lines.append(f"  {step} ({counts.n}): {flags}")
    if result.rejects:
        lines.append(f"  {len(result.rejects)} rows rejected, see {rejects}")
    summary = {
        "out": str(out),
        "task": result.task,
        "n": len(result.annotations),
        "rejected": len(result.rejects),
        "gates": {step: counts.model_dump() for step, counts in result.counts.items()},
    }
    show(summary, as_json, "\n".join(lines))
