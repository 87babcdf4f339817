"""The stages, from files to files: each output lies beside its manifest and is not made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distilwhy.config import (
    NO_WEIGHT_CHANGES,
    Condition,
    PredictionSettings,
    Settings,
    StudentSettings,
    TeacherSettings,
    TrainingSettings,
)
from distilwhy.errors import ModelError
from distilwhy.evaluation.accuracy import check_predictions
from distilwhy.evaluation.baselines import majority_baseline, random_baseline
from distilwhy.evaluation.evaluate import evaluate as summarise
from distilwhy.evaluation.metrics import Metrics
from distilwhy.evaluation.paired import PairedComparison, mcnemar
from distilwhy.files import read_json, read_records, write_json, write_records
from distilwhy.manifests import begin_stage, stage_is_done, write_manifest
from distilwhy.outputs import check_output_file, check_output_folder
from distilwhy.pipeline.beside import (
    cost_path,
    costs_path,
    has_refused,
    read_costs,
    store_path,
    tell_empty,
    write_outcome,
    write_predictions,
)
from distilwhy.pipeline.checks import check_ids
from distilwhy.pipeline.inputs import (
    asking,
    content,
    local_student,
    local_teacher,
    task_examples,
    terms,
)
from distilwhy.progress import progress_bar, say
from distilwhy.ranks import rank
from distilwhy.records import (
    TRAINING_SUMMARY,
    Annotation,
    Example,
    Prediction,
    TrainingSummary,
)
from distilwhy.tasks import Split

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator

TaskLike = str | Mapping[str, Any]
PathLike = str | Path

BASELINES = ("majority", "random")

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
    elsewhere: Sequence[Path] = (),
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
        elsewhere: Other stores whose cost counts against the teacher's budget.

    Raises:
        UserError: When the task, the teacher or the settings cannot be used.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    from distilwhy.generators.open import lazy_generator
    from distilwhy.teaching.annotate import annotate

    out = Path(out)
    check_output_file(out)
    settings = _setting(TeacherSettings, teacher, "model")
    examples = task_examples(task, split, limit, seed, base, out)
    fixed = asking(settings, examples, seed)
    inputs = local_teacher(settings.model)
    if stage_is_done(out, "generate", inputs, fixed) and not has_refused(out):
        say(f"{out} is up to date.")
        return read_records(out, Annotation)
    run = begin_stage("generate", inputs, fixed, seed)
    generator = generator or lazy_generator(settings.model, settings)
    with progress_bar("teacher texts", 0) as advance:
        result = annotate(
            examples,
            generator,
            settings,
            seed=seed,
            store_path=store_path(out),
            terms=terms(settings, run, elsewhere),
            progress=advance,
        )
    write_json(cost_path(out), result.cost.model_dump(mode="json"))
    write_outcome(out, result.outcome, result.unlabelled)
    tell_empty(result.counts)
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
    soft_labels: PathLike | None = None,
) -> TrainingSummary:
    """Train a student on an annotations file.

    Args:
        annotations: The annotations file; all its examples are training examples.
        out: Folder to write the student to. A stopped run goes on from its last checkpoint.
        student: The base model, with adapters if wanted, or its model string alone.
        condition: Method, weights and data kind, or the method's name alone.
        settings: Steps, rates, limits, precision and seed.
        soft_labels: Folder of stored soft labels, which other runs share; beside ``out`` when
            unset.

    Raises:
        UserError: When the annotations, the model or the settings cannot be used.
    """
    annotations, out = Path(annotations), Path(out)
    student = _setting(StudentSettings, student, "model")
    condition = _setting(Condition, condition, "method")
    settings = settings or TrainingSettings()
    fixed = {
        "student": student.model_dump(mode="json"),
        "condition": condition.model_dump(mode="json"),
        "training": settings.model_dump(mode="json", exclude=NO_WEIGHT_CHANGES),
    }
    inputs = {"annotations": annotations, **local_student(student.model)}
    if condition.soft is not None and condition.soft.teacher is not None:
        inputs |= {f"soft_{k}": v for k, v in local_teacher(condition.soft.teacher).items()}
    check_output_folder(out, *inputs.values())
    if stage_is_done(out, "train", inputs, fixed):
        say(f"{out} is up to date.")
        return TrainingSummary.model_validate(read_json(out / TRAINING_SUMMARY))
    records = read_records(annotations, Annotation)
    check_ids(records, annotations)
    # Deferred, so that a finished stage does not load torch.
    from distilwhy.training.train import train as train_student

    run = begin_stage("train", inputs, fixed, settings.seed)
    labels = Path(soft_labels) if soft_labels else out.with_name(f"{out.name}.soft-labels")
    summary = train_student(records, student, condition, settings, out, labels)
    if rank() == 0:
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
        raise ModelError(f"{student} is not a folder.", "Give the folder that training wrote.")
    check_output_file(out, student)
    examples = task_examples(task, split, limit, seed, base, out)
    fixed = {"prediction": settings.model_dump(mode="json"), **content(examples)}
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
    elsewhere: Sequence[Path] = (),
) -> list[Prediction]:
    """Ask the teacher itself, without telling it the right answer.

    Args:
        teacher: The teacher and how it is asked.
        examples: The examples to answer.
        out: The predictions file to write.
        seed: Seed of all draws.
        generator: The teacher, where it is loaded already.
        elsewhere: Other stores whose cost counts against the teacher's budget.
    """
    check_output_file(out)
    fixed = asking(teacher, examples, seed)
    inputs = local_teacher(teacher.model)
    if stage_is_done(out, "ask", inputs, fixed) and not has_refused(out):
        say(f"{out} is up to date.")
        return read_records(out, Prediction)
    from distilwhy.generators.open import lazy_generator
    from distilwhy.inference.predict import ask_teacher

    run = begin_stage("ask", inputs, fixed, seed)
    predicted = ask_teacher(
        generator or lazy_generator(teacher.model, teacher),
        examples,
        teacher,
        seed=seed,
        store_path=store_path(out),
        terms=terms(teacher, run, elsewhere),
    )
    write_predictions(out, predicted, None)
    write_manifest(out, run)
    return predicted.predictions


def baseline(
    name: str, annotations: Path, examples: Sequence[Example], out: Path, *, seed: int
) -> None:
    """Answer examples without looking at a question.

    Args:
        name: ``majority`` or ``random``.
        annotations: The training examples, from which the majority is taken.
        examples: The examples to answer.
        out: The predictions file to write.
        seed: Seed of the guesses.
    """
    fixed = {"name": name, "seed": seed, **content(examples)}
    if stage_is_done(out, "baseline", {"annotations": annotations}, fixed):
        return
    run = begin_stage("baseline", {"annotations": annotations}, fixed, seed)
    if name == "majority":
        training = [annotation.example for annotation in read_records(annotations, Annotation)]
        predictions = majority_baseline(training, examples)
    else:
        predictions = random_baseline(examples, seed)
    write_records(out, predictions)
    write_manifest(out, run)


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
    if out is None:
        return _metrics(predictions, seed)
    out = Path(out)
    check_output_file(out, predictions)
    costs = costs_path(predictions)
    inputs = {"predictions": predictions, **({"costs": costs} if costs.is_file() else {})}
    if stage_is_done(out, "evaluate", inputs, {"seed": seed}):
        return Metrics.model_validate(read_json(out))
    run = begin_stage("evaluate", inputs, {"seed": seed}, seed)
    metrics = _metrics(predictions, seed)
    write_json(out, metrics.model_dump(mode="json"))
    write_manifest(out, run)
    return metrics


def compare(first: PathLike, second: PathLike, *, seed: int = 0) -> PairedComparison:
    """Compare two predictors that answered the same questions (McNemar's exact test).

    Args:
        first: A predictions file.
        second: Another, of the same questions in any order.
        seed: Seed of the bootstrap.

    Raises:
        UserError: When a file cannot be read or the questions differ.
    """
    return mcnemar(
        read_records(Path(first), Prediction), read_records(Path(second), Prediction), seed
    )


def _metrics(predictions: Path, seed: int) -> Metrics:
    records = read_records(predictions, Prediction)
    check_predictions(records, str(predictions))
    costs = read_costs(predictions)
    return summarise(records, prediction=costs.prediction, training=costs.training, seed=seed)


def _setting(kind: type[SettingsT], value: Any, field: str) -> SettingsT:
    return value if isinstance(value, kind) else kind.model_validate({field: value})
