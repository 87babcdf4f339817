"""What stages start from: what is asked, of which model's content, about which examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import BackendSettings, ModelSettings, TeacherSettings
from distilwhy.files import sha256_json
from distilwhy.manifests import StageRun
from distilwhy.models.names import EMBEDDED, parse_model
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example
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


def content(examples: Sequence[Example]) -> dict[str, str]:
    """Return what identifies the examples among a stage's settings."""
    return {"examples": sha256_json([example.model_dump(mode="json") for example in examples])}


def local_student(model: str) -> dict[str, Path]:
    """Return a base model's folder among a stage's inputs, where it is one on this machine."""
    name = model.removeprefix("hf:")
    # An empty name is refused later; as a path it would be the working folder.
    return {"student": Path(name)} if name and Path(name).is_dir() else {}


def local_teacher(model: str) -> dict[str, Path]:
    """Return a teacher's folder or file among a stage's inputs, where it is on this machine.

    Recorded texts are left out: what they answer is as they were asked.
    """
    if model == EMBEDDED:
        return {}
    name = parse_model(model)
    path = Path(name.target)
    return {"teacher": path} if name.kind in ("hf", "gguf") and path.exists() else {}


def terms(teacher: ModelSettings, run: StageRun, elsewhere: Sequence[Path] = ()) -> Terms:
    """Return on what terms a teacher is asked.

    Args:
        teacher: Its budget and prices.
        run: The stage, which knows the content of a teacher on this machine.
        elsewhere: Other stores whose cost counts against the budget.
    """
    from distilwhy.teaching.spending import Terms

    files = run.inputs.get("teacher")
    return Terms(
        teacher.budget, teacher.prices, tuple(elsewhere), None if files is None else files.sha256
    )
