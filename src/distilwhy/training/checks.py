"""What of a training run can be refused is refused before anything is asked, written or trained."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.models.load import check_model, load_tokenizer
from distilwhy.models.skeleton import load_skeleton
from distilwhy.records import Family, TagPlace
from distilwhy.students.load import CARD, check_base, read_card
from distilwhy.training.arguments import check_schedule
from distilwhy.training.memory import check_budget
from distilwhy.training.methods import check_condition, resolve_method
from distilwhy.training.soft import soft_views
from distilwhy.training.trackers import check_trackers
from distilwhy.training.vocabularies import check_vocabularies


def check_training(
    student: StudentSettings,
    condition: Condition,
    settings: TrainingSettings,
    families: Collection[Family],
) -> None:
    """Refuse a run that could not be done, as far as that shows without its data and weights.

    Args:
        student: The base model.
        condition: Method, data kind and soft labels.
        settings: Steps, rates, limits.
        families: How the questions are asked.

    Raises:
        UserError: Naming what cannot be used.
    """
    check_condition(condition)
    check_settings(settings)
    check_base(student)
    # With adapters of its own a student needs less; that is measured when it is trained.
    if settings.memory_budget is not None and student.lora is None:
        check_budget(load_skeleton(student.model, student.layers), settings)
    check_soft(condition, student.model, families, settings.tag)


def check_settings(settings: TrainingSettings) -> None:
    """Refuse settings of training that cannot be used, whatever is trained.

    Raises:
        ConfigError: When the schedule or a tracker cannot be used, or patience waits for nothing.
    """
    check_schedule(settings.schedule)
    check_trackers(settings.trackers)
    if settings.patience is not None and not settings.held_out:
        raise ConfigError(
            "training.patience waits for a better held-out loss, but nothing is held out.",
            "Give training.held_out above 0, or no patience.",
        )


def check_soft(
    condition: Condition, student: str, families: Collection[Family], tag: TagPlace
) -> None:
    """Refuse soft labels of a teacher that cannot give them to a student.

    Args:
        condition: Method, data kind and soft labels, if any.
        student: The student's model string.
        families: How the questions are asked.
        tag: Where the student's tags stand.

    Raises:
        ConfigError: When no teacher is named, its vocabulary is another, a view that is asked for
            is not the method's or cannot be shown to it, or it learnt its tags in another place.
        ModelError: When its weights are not here.
    """
    settings = condition.soft
    if settings is None:
        return
    if settings.teacher is None:
        raise ConfigError(
            "soft labels need a teacher, and none is named.",
            "Name one whose weights are here in soft.teacher.",
        )
    soft_views(condition, resolve_method(condition), families)
    check_model(settings.teacher)
    folder = Path(settings.teacher.removeprefix("hf:"))
    if settings.context == "source" and (folder / CARD).is_file():
        learnt = read_card(folder).tag
        if learnt != tag:
            raise ConfigError(
                f"soft: the teacher {settings.teacher} was trained with training.tag: {learnt}, "
                f"this student is to be with {tag}.",
                f"Set training.tag: {learnt}, or soft.context: few_shot.",
            )
    if settings.loss != "uld":
        check_vocabularies(load_tokenizer(settings.teacher), load_tokenizer(student))
