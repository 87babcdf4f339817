"""What stages start from: what is asked, of which model's content, about which examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import BackendSettings, ModelSettings, TeacherSettings
from distilwhy.errors import ConfigError, ModelError
from distilwhy.files import sha256_json
from distilwhy.manifests import StageRun
from distilwhy.models.names import EMBEDDED, parse_model
from distilwhy.pipeline.beside import rejects_path
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example, Prediction
from distilwhy.tasks import Split, load_task
from distilwhy.tasks.base import checked_split
from distilwhy.teaching.own_steps import load_own_steps

if TYPE_CHECKING:
    from distilwhy.teaching.spending import Terms

NO_TEXT_CHANGES = (BackendSettings.model_fields.keys() - {"precision"}) | {"budget", "prices"}
"""Settings of a teacher that change no text, so that changing them does no work again."""


def asking(teacher: TeacherSettings, examples: Sequence[Example], seed: int) -> dict[str, Any]:
    """Return all that shapes what a teacher is asked, the words of the prompts included."""
    families = sorted({example.family for example in examples})
    return {
        "teacher": teacher.model_dump(mode="json", exclude=NO_TEXT_CHANGES),
        "prompts": [load_prompts(family, teacher.prompts).digest for family in families],
        "own_steps": [p.digest for family in families for p in load_own_steps(teacher, family)],
        "seed": seed,
        **content(examples),
    }


def content(examples: Sequence[Example] | Sequence[Prediction]) -> dict[str, str]:
    """Return what identifies examples, or predictions, among a stage's settings."""
    return {"examples": sha256_json([example.model_dump(mode="json") for example in examples])}


def task_examples(
    task: str | Mapping[str, Any],
    split: Split,
    limit: int | None,
    seed: int,
    base: Path | None,
    out: Path,
) -> list[Example]:
    """Return the examples that a stage works on.

    Args:
        task: A task's name, a task file, or a custom task as a mapping.
        split: Split to take.
        limit: Take so many examples at most, drawn by seed.
        seed: Seed of that draw.
        base: Folder that relative paths of the task start from.
        out: The stage's output, beside which rejected rows are written.

    Raises:
        UserError: When the task or the limit cannot be used.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is {limit}.", "Give 1 or more, or none to use all examples.")
    return load_task(task, base, rejects_path(out)).load(checked_split(split), limit, seed)


def given_path(path: str, base: Path | None) -> Path:
    """Return a path of an experiment file: from its folder, else from the working folder."""
    beside = (base or Path()) / path
    return beside if beside.exists() or not Path(path).exists() else Path(path)


def local_student(model: str) -> dict[str, Path]:
    """Return a base model's folder among a stage's inputs, where it is one on this machine."""
    name = model.removeprefix("hf:")
    # An empty name is refused later; as a path it would be the working folder.
    return {"student": Path(name)} if name and Path(name).is_dir() else {}


def local_teacher(model: str) -> dict[str, Path]:
    """Return a teacher's folder or file among a stage's inputs, where it is on this machine.

    Recorded texts are left out: what they answer is as they were asked.
    """
    if model == EMBEDDED or model.startswith("recorded:"):
        return {}
    try:
        name = parse_model(model)
    except ModelError:  # a finished stage needs its model no more; another one will say so
        return {}
    path = Path(name.target)
    return {"teacher": path} if name.kind in ("hf", "gguf") and path.exists() else {}


def terms(
    teacher: ModelSettings,
    run: StageRun,
    elsewhere: Sequence[Path] = (),
    among_inputs: str = "teacher",
) -> Terms:
    """Return on what terms a teacher is asked.

    Args:
        teacher: Its budget and prices.
        run: The stage, which knows the content of a teacher on this machine.
        elsewhere: Other stores whose cost counts against the budget.
        among_inputs: The name of a teacher on this machine among the stage's inputs.
    """
    from distilwhy.generators.open import LOCAL_KINDS
    from distilwhy.teaching.spending import Terms

    files = run.inputs.get(among_inputs)
    local = parse_model(teacher.model).kind in LOCAL_KINDS
    return Terms(
        teacher.budget,
        teacher.prices,
        tuple(elsewhere),
        content=None if files is None else files.sha256,
        precision=teacher.precision if local and teacher.precision != "auto" else None,
    )
