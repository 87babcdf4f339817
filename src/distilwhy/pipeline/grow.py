"""The stage that grows a task: from a description and seed examples to an ordinary task file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from distilwhy.errors import ConfigError, StageError
from distilwhy.files import (
    atomic_text,
    read_json,
    read_text,
    write_json,
    write_records,
)
from distilwhy.growing.prompt import Asking
from distilwhy.growing.report import GrowthReport
from distilwhy.growing.seeds import read_against, read_seeds, test_examples
from distilwhy.growing.settings import GrowingSettings
from distilwhy.growing.shape import Shape, shape_of
from distilwhy.manifests import begin_stage, stage_is_done, write_manifest
from distilwhy.outputs import check_output_folder
from distilwhy.pipeline.beside import cost_path, has_refused, rejects_path, store_path
from distilwhy.pipeline.inputs import NO_TEXT_CHANGES, content, local_teacher, terms
from distilwhy.pipeline.stages import PathLike, TaskLike
from distilwhy.progress import progress_bar, say
from distilwhy.prompts.wording import one_line
from distilwhy.records import Example
from distilwhy.tasks import load_task

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator
    from distilwhy.growing.grow import Growth
    from distilwhy.teaching.spending import Terms

TASK_FILE, REPORT_FILE, REJECTS_FILE = "task.yaml", "report.json", "rejects.jsonl"


def grow(
    description: PathLike,
    out: PathLike,
    *,
    teacher: GrowingSettings | str,
    seeds: PathLike | None = None,
    task: TaskLike | None = None,
    against: Iterable[PathLike] = (),
    seed: int = 0,
    base: Path | None = None,
    generator: Generator | None = None,
) -> GrowthReport:
    """Have a teacher write the examples of a task of which there are few or none.

    Args:
        description: What the questions are like, or a text file that says so.
        out: Folder to write the task to: ``task.yaml``, its splits, the rejected questions and the
            report. Beside it lie the store of the teacher's texts, from which a stopped run goes
            on, the cost and the manifest.
        teacher: The teacher and what is asked of it, or its model string alone.
        seeds: Table of seed examples; ``None`` draws 20 of the task's training split.
        task: The task that the questions are for, if there is one: its test examples become the
            test split, and no question repeats one.
        against: Tables, or task files with a test split, that no question may repeat.
        seed: Seed of all draws.
        base: Folder that relative paths of the task start from.
        generator: The teacher, where it is loaded already.

    Raises:
        UserError: When the task, the examples, the teacher or the settings cannot be used.
        StageError: When no question is left to keep.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    out, avoided = Path(out), [Path(path) for path in against]
    settings = teacher if isinstance(teacher, GrowingSettings) else GrowingSettings(model=teacher)
    check_output_folder(out, *([Path(seeds)] if seeds else []), *avoided)
    found = load_task(task, base, rejects_path(out)) if task is not None else None
    examples = read_seeds(Path(seeds) if seeds else None, found, seed)
    shape = shape_of(examples)
    test = test_examples(found) if found else []
    if test and settings.test:
        raise ConfigError(
            "The task has a test split, which becomes that of the grown task.",
            "Leave --test out.",
        )
    others = [example for path in avoided for example in read_against(path, found)]
    asking = Asking(_description(description), examples, shape, settings, seed)
    fixed = _fixed(asking, test, others)
    inputs = local_teacher(settings.model)
    if stage_is_done(out, "grow", inputs, fixed) and not has_refused(out):
        say(f"{out} is up to date.")
        return GrowthReport.model_validate(read_json(out / REPORT_FILE))
    run = begin_stage("grow", inputs, fixed, seed)
    growth = _grown(asking, [*test, *others], out, generator, terms(settings, run))
    _write(out, growth, test, shape)
    write_manifest(out, run)
    return growth.report


def _grown(
    asking: Asking,
    against: Sequence[Example],
    out: Path,
    generator: Generator | None,
    conditions: Terms,
) -> Growth:
    """Grow the examples, or say why there are none."""
    from distilwhy.generators.open import lazy_generator
    from distilwhy.growing.grow import grow as grow_examples

    settings = asking.settings
    generator = generator or lazy_generator(settings.model, settings)
    with progress_bar("questions kept", settings.wanted) as advance:
        growth = grow_examples(
            asking,
            generator,
            against=against,
            name=out.resolve().name,
            store_path=store_path(out),
            terms=conditions,
            progress=advance,
        )
    if not growth.train:
        _write_findings(out, growth)
        raise StageError(
            f"No question of {growth.report.requested} was kept; {out / REJECTS_FILE} says why."
        )
    return growth


def _fixed(asking: Asking, test: Sequence[Example], others: Sequence[Example]) -> dict[str, Any]:
    """Return all that shapes what is grown, the words of the prompts included."""
    groups = {"seeds": asking.seeds, "test": test, "against": others}
    return {
        "description": asking.description,
        "teacher": asking.settings.model_dump(mode="json", exclude=NO_TEXT_CHANGES),
        "prompts": asking.digest,
        "seed": asking.seed,
        **{name: content(examples)["examples"] for name, examples in groups.items()},
    }


def _description(given: PathLike) -> str:
    """Return a description, from a file where the text names one."""
    try:
        text = read_text(Path(given)) if Path(given).is_file() else str(given)
    except (OSError, ValueError):  # a long text is no file's name
        text = str(given)
    if not text.strip():
        raise ConfigError(
            "The description is empty.", "Say in one or more sentences what the questions are like."
        )
    return one_line(text)


def _write(out: Path, growth: Growth, test: Sequence[Example], shape: Shape) -> None:
    """Write the task file, its splits, and what was found on the way."""
    splits = {"train": growth.train, "validation": growth.validation, "test": test or growth.test}
    files = {split: f"{split}.jsonl" for split, examples in splits.items() if examples}
    for split, name in files.items():
        with atomic_text(out / name) as stream:
            # Fields without a value, too: a table's columns are looked for in its first row.
            stream.writelines(f"{example.model_dump_json()}\n" for example in splits[split])
    for split in splits.keys() - files.keys():
        (out / f"{split}.jsonl").unlink(missing_ok=True)
    _write_findings(out, growth)
    fields = _task_fields(out.resolve().name, files, growth.train, shape)
    with atomic_text(out / TASK_FILE) as stream:
        yaml.safe_dump(fields, stream, sort_keys=False, allow_unicode=True)


def _write_findings(out: Path, growth: Growth) -> None:
    write_json(cost_path(out), growth.cost.model_dump(mode="json"))
    write_json(out / REPORT_FILE, growth.report.model_dump(mode="json"))
    write_records(out / REJECTS_FILE, growth.rejected)


def _task_fields(
    name: str, files: dict[str, str], examples: Sequence[Example], shape: Shape
) -> dict[str, Any]:
    """Return the fields of the task file."""
    columns = {"id": "id", "question": "question", "answer": "answer"}
    if not shape.labels:
        columns["choices"] = "choices"
    if shape.context:
        columns["context"] = "context"
    labels = {"labels": list(shape.labels)} if shape.labels else {}
    return {
        "name": name,
        "family": shape.family,
        "source": files,
        "columns": columns,
        **labels,
    }
