"""The experiment file: typed, every field documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distilwhy.config.backend import RaySettings
from distilwhy.config.base import Precision, Settings, read_yaml, validate
from distilwhy.config.measures import MeasureSettings
from distilwhy.config.teacher import TeacherSettings
from distilwhy.config.training import Condition, StudentSettings, TrainingSettings, check_seeds


class PredictionSettings(Settings):
    """How students and teachers are asked for answers."""

    batch_size: int = Field(32, ge=1, description="Questions answered together.")
    max_new_tokens: int = Field(120, ge=1, description="Token limit of one text.")
    rationales: bool = Field(True, description="Also generate rationales where a pass is separate.")
    precision: Precision = Field("auto", description="bf16 where the machine does it well.")
    tags: Literal["learnt", "swapped"] = Field(
        "learnt",
        description="Ask by the tags learnt, or, as a control, for the answer by the explanation's "
        "tag and the other way round.",
    )


class Limits(Settings):
    """How many examples of each split are used; unset means all."""

    train: int | None = Field(None, ge=2, description="Training examples.")
    test: int | None = Field(None, ge=1, description="Test examples.")


class Experiment(Settings):
    """A whole experiment: every condition by student by seed is a cell."""

    name: str = Field("experiment", description="Title of the report.")
    task: str | dict[str, Any] = Field(description="A task's name, a task file, or a custom task.")
    annotations: str | None = Field(
        None, description="Annotations file to use instead of asking the teacher."
    )
    sources: dict[str, str] = Field(
        {},
        description="More annotations files by name, e.g. of human explanations or of other "
        "teachers; conditions learn from them (learn_from).",
    )
    teacher: TeacherSettings | None = Field(None, description="The teacher.")
    students: tuple[StudentSettings, ...] = Field(min_length=1, description="Student models.")
    conditions: tuple[Condition, ...] = Field(min_length=1, description="Methods by data kind.")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="Training seeds.")
    seed: int = Field(0, ge=0, description="Seed of prompts, draws and subsets.")
    limits: Limits = Field(Limits(), description="Subset sizes.")
    training: TrainingSettings = Field(
        TrainingSettings(),
        description="Training. With 'file: NAME', a YAML file's settings, which those beside it "
        "change.",
    )
    prediction: PredictionSettings = Field(PredictionSettings(), description="Prediction.")
    explanations: MeasureSettings = Field(
        MeasureSettings(), description="How the students' explanations are judged."
    )
    swapped_tags: bool = Field(
        False, description="Also ask each student with its tags swapped, as a control."
    )
    engine: Literal["local", "ray"] = Field(
        "local",
        description="Run cells one after another here, or several at once on the machines of Ray "
        "(docs/training.md).",
    )
    ray: RaySettings = Field(
        RaySettings(), description="Where the cells of engine ray run, and what each of them needs."
    )
    ask_teacher: bool = Field(
        True, description="Also measure the teacher's own accuracy, without the gold answer."
    )

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        check_seeds(value)
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> Experiment:
        if (self.teacher is None) == (self.annotations is None):
            raise ValueError("give either a teacher or an annotations file")
        known = {"teacher", *self.sources}
        if "teacher" in self.sources:
            raise ValueError("sources: 'teacher' is the name of the first source already")
        if unknown := [n for c in self.conditions for n in c.learn_from or () if n not in known]:
            raise ValueError(f"learn_from: there is no source named {unknown[0]!r} under sources")
        for name, values in (
            ("seeds", self.seeds),
            ("conditions", [condition.label for condition in self.conditions]),
            ("students", [student.label for student in self.students]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: two are the same; give each its own name")
        return self


def load_experiment(path: Path) -> Experiment:
    """Read an experiment file.

    Args:
        path: A YAML file with the fields of :class:`Experiment`.

    Raises:
        ConfigError: When it is not YAML, or naming all its faults together.
        DataError: When it is missing.
    """
    return validate(Experiment, _with_training_file(read_yaml(path), path), str(path))


def _with_training_file(values: Any, path: Path) -> Any:
    """Put the settings of ``training.file`` in its place; it is looked for beside the file."""
    training = values.get("training") if isinstance(values, dict) else None
    if not isinstance(training, dict) or not isinstance(training.get("file"), str):
        return values
    rest = dict(training)
    name = rest.pop("file")
    beside = path.parent / name
    file = beside if beside.exists() or not Path(name).exists() else Path(name)
    fields = read_yaml(file)
    validate(TrainingSettings, fields, str(file))
    return {**values, "training": {**fields, **rest}}
