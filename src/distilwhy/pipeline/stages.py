"""The stages, from files to files: each output lies beside its manifest and is not made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distilwhy.config import (
    Condition,
    PredictionSettings,
    Settings,
    StudentSettings,
    TeacherSettings,
    TeachingSettings,
    TrainingSettings,
)
from distilwhy.errors import UserError
from distilwhy.evaluation.evaluate import evaluate as summarise
from distilwhy.evaluation.metrics import Metrics
from distilwhy.files import read_json, read_records, sha256_json, write_json, write_records
from distilwhy.manifests import begin_stage, stage_is_done, write_manifest
from distilwhy.progress import progress_bar, say
from distilwhy.prompts.library import load_prompts
from distilwhy.records import (
    TRAINING_SUMMARY,
    Annotation,
    Example,
    Prediction,
    PredictionSummary,
    Record,
    TrainingSummary,
)
from distilwhy.tasks import Split, load_task
from distilwhy.teaching.cost import TeachingCost

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator
    from distilwhy.inference.predict import Predicted

TaskLike = str | Mapping[str, Any]
PathLike = str | Path

SettingsT = TypeVar("SettingsT", bound=Settings)


def generate(
    task: TaskLike,
    teacher: TeacherSettings | str,
    out: PathLike,
    *,
    split: Split = "train",
    limit: int | None = None,
    seed: int = 0,
    base: Path | None = None,
    generator: Generator | None = None,
) -> list[Annotation]:
    """Have a teacher annotate a task's examples.

    Args:
        task: A task's name, a task file, or a custom task as a mapping.
        teacher: The teacher and how it is asked, or its model string alone.
        out: The annotations file to write. Beside it lie the store of the teacher's texts, from
            which a stopped run goes on, the cost and the manifest.
        split: Split to annotate.
        limit: Annotate so many examples at most, drawn by seed.
        seed: Seed of all draws.
        base: Folder that relative paths of the task start from.
        generator: The teacher, where it is loaded already.

    Raises:
        UserError: When the task, the teacher or the settings cannot be used.
    """
    out = Path(out)
    from distilwhy.generators.open import open_generator
    from distilwhy.teaching.annotate import annotate

    settings = teacher if isinstance(teacher, TeacherSettings) else TeacherSettings(model=teacher)
    examples = load_task(task, base, rejects_path(out)).load(split, limit, seed)
    fixed = _asking(settings, examples, seed)
    if stage_is_done(out, "generate", {}, fixed):
        say(f"{out} is up to date.")
        return read_records(out, Annotation)
    run = begin_stage("generate", {}, fixed, seed)
    generator = generator or open_generator(settings.model, batch_size=settings.batch_size)
    teaching = TeachingSettings(**settings.model_dump(exclude={"model"}))
    with progress_bar("teacher texts", 0) as advance:
        result = annotate(
            examples,
            generator,
            teaching,
            seed=seed,
            store_path=store_path(out),
            progress=advance,
        )
    write_json(cost_path(out), result.cost.model_dump(mode="json"))
    write_records(out, result.annotations)
    write_manifest(out, run)
    return list(result.annotations)


def train(
    annotations: PathLike,
    out: PathLike,
    *,
    student: StudentSettings | str,
    condition: Condition | str = "multitask",
    settings: TrainingSettings | None = None,
) -> TrainingSummary:
    """Train a student on an annotations file.

    Args:
        annotations: The annotations file; all its examples are training examples.
        out: Folder to write the student to. A stopped run goes on from its last checkpoint.
        student: The base model, with adapters if wanted, or its model string alone.
        condition: Method, weights and data kind, or the method's name alone.
        settings: Steps, rates, limits, precision and seed.

    Raises:
        UserError: When the annotations, the model or the settings cannot be used.
    """
    annotations, out = Path(annotations), Path(out)
    student = _setting(StudentSettings, student, "model")
    condition = _setting(Condition, condition, "method")
    settings = settings or TrainingSettings()
    parts = {"student": student, "condition": condition, "training": settings}
    fixed = {name: part.model_dump(mode="json") for name, part in parts.items()}
    if stage_is_done(out, "train", {"annotations": annotations}, fixed):
        say(f"{out} is up to date.")
        return TrainingSummary.model_validate(read_json(out / TRAINING_SUMMARY))
    records = read_records(annotations, Annotation)
    # Deferred, so that a finished stage does not load torch.
    from distilwhy.training.train import train as train_student

    run = begin_stage("train", {"annotations": annotations}, fixed, settings.seed)
    summary = train_student(records, student, condition, settings, out)
    write_manifest(out, run)
    return summary


def predict(
    student: PathLike,
    task: TaskLike,
    out: PathLike,
    *,
    split: Split = "test",
    limit: int | None = None,
    seed: int = 0,
    settings: PredictionSettings | None = None,
    base: Path | None = None,
) -> list[Prediction]:
    """Ask a trained student a task's questions.

    Args:
        student: The folder that training wrote.
        task: A task's name, a task file, or a custom task as a mapping.
        out: The predictions file to write.
        split: Split to answer.
        limit: Answer so many examples at most, drawn by seed.
        seed: Seed of that draw.
        settings: Batch size, limits and precision.
        base: Folder that relative paths of the task start from.

    Raises:
        UserError: When the student or the task cannot be used.
    """
    student, out = Path(student), Path(out)
    settings = settings or PredictionSettings()
    if not student.is_dir():
        raise UserError(f"{student} is not a folder.", "Give the folder that training wrote.")
    examples = load_task(task, base, rejects_path(out)).load(split, limit, seed)
    fixed = {"prediction": settings.model_dump(mode="json"), **_content(examples)}
    if stage_is_done(out, "predict", {"student": student}, fixed):
        say(f"{out} is up to date.")
        return read_records(out, Prediction)
    from distilwhy.inference.predict import predict as ask_student

    run = begin_stage("predict", {"student": student}, fixed, seed)
    predicted = ask_student(student, examples, settings)
    training = student / TRAINING_SUMMARY
    write_predictions(out, predicted, training if training.is_file() else None)
    write_manifest(out, run)
    return predicted.predictions


def ask(
    teacher: TeacherSettings,
    examples: Sequence[Example],
    out: Path,
    *,
    seed: int,
    generator: Generator | None = None,
) -> list[Prediction]:
    """Ask the teacher itself, without telling it the right answer.

    Args:
        teacher: The teacher and how it is asked.
        examples: The examples to answer.
        out: The predictions file to write.
        seed: Seed of all draws.
        generator: The teacher, where it is loaded already.
    """
    fixed = _asking(teacher, examples, seed)
    if stage_is_done(out, "ask", {}, fixed):
        say(f"{out} is up to date.")
        return read_records(out, Prediction)
    from distilwhy.generators.open import open_generator
    from distilwhy.inference.predict import ask_teacher

    run = begin_stage("ask", {}, fixed, seed)
    generator = generator or open_generator(teacher.model, batch_size=teacher.batch_size)
    teaching = TeachingSettings(**teacher.model_dump(exclude={"model"}))
    predicted = ask_teacher(generator, examples, teaching, seed=seed)
    write_predictions(out, predicted, None)
    write_manifest(out, run)
    return predicted.predictions


def evaluate(predictions: PathLike, out: PathLike | None = None, *, seed: int = 0) -> Metrics:
    """Summarise a predictions file.

    Args:
        predictions: The predictions file.
        out: Where to write the figures as JSON; ``None`` writes nothing.
        seed: Seed of the bootstrap.

    Raises:
        UserError: When the predictions cannot be read or scored.
    """
    predictions = Path(predictions)
    from distilwhy.evaluation.accuracy import check_predictions

    records = read_records(predictions, Prediction)
    check_predictions(records, str(predictions))
    costs = read_costs(predictions)
    metrics = summarise(records, prediction=costs.prediction, training=costs.training, seed=seed)
    if out is not None:
        write_json(Path(out), metrics.model_dump(mode="json"))
    return metrics


class Costs(Record):
    """What lies beside a predictions file: what training and prediction cost."""

    prediction: PredictionSummary | None = None
    training: TrainingSummary | None = None


def write_predictions(out: Path, predicted: Predicted, training: Path | None) -> None:
    """Write predictions, and their costs beside them.

    Args:
        out: The predictions file.
        predicted: The predictions and what they cost.
        training: The student's ``training.json``; ``None`` for other predictors.
    """
    costs = Costs(
        prediction=predicted.summary,
        training=TrainingSummary.model_validate(read_json(training)) if training else None,
    )
    write_json(costs_path(out), costs.model_dump(mode="json"))
    write_records(out, predicted.predictions)


def store_path(annotations: Path) -> Path:
    """Return where the teacher's raw texts of an annotations file lie."""
    return annotations.with_name(f"{annotations.stem}.texts.jsonl")


def cost_path(annotations: Path) -> Path:
    """Return where the teacher's cost of an annotations file lies."""
    return annotations.with_name(f"{annotations.stem}.cost.json")


def costs_path(predictions: Path) -> Path:
    """Return where the costs of a predictions file lie."""
    return predictions.with_name(f"{predictions.stem}.costs.json")


def read_costs(predictions: Path) -> Costs:
    """Return what a predictions file cost; empty for predictions from elsewhere."""
    path = costs_path(predictions)
    return Costs.model_validate(read_json(path)) if path.is_file() else Costs()


def read_cost(annotations: Path) -> TeachingCost | None:
    """Return what the teacher cost, or ``None`` for annotations from elsewhere."""
    path = cost_path(annotations)
    return TeachingCost.model_validate(read_json(path)) if path.is_file() else None


def rejects_path(output: Path) -> Path:
    """Return the folder of rejected rows of an output's task."""
    return output.with_name("rejects")


def _asking(teacher: TeacherSettings, examples: Sequence[Example], seed: int) -> dict[str, Any]:
    """Return all that shapes what a teacher is asked, the words of the prompts included."""
    families = sorted({example.family for example in examples})
    return {
        "teacher": teacher.model_dump(mode="json"),
        "prompts": [load_prompts(family, teacher.prompts).digest for family in families],
        "seed": seed,
        **_content(examples),
    }


def _content(examples: Sequence[Example]) -> dict[str, str]:
    """Return what identifies the examples among a stage's settings."""
    return {"examples": sha256_json([example.model_dump(mode="json") for example in examples])}


def _setting(kind: type[SettingsT], value: Any, field: str) -> SettingsT:
    return value if isinstance(value, kind) else kind.model_validate({field: value})
