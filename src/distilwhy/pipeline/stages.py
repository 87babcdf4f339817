"""The stages, from files to files: each output lies beside its manifest and is not made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distilwhy.config import (
    BackendSettings,
    Condition,
    PredictionSettings,
    Settings,
    StudentSettings,
    TeacherSettings,
    TrainingSettings,
)
from distilwhy.errors import ConfigError, ModelError
from distilwhy.evaluation.accuracy import check_predictions
from distilwhy.evaluation.baselines import majority_baseline, random_baseline
from distilwhy.evaluation.evaluate import evaluate as summarise
from distilwhy.evaluation.metrics import Metrics
from distilwhy.evaluation.statistics import PairedComparison, mcnemar
from distilwhy.files import read_json, read_records, sha256_json, write_json, write_records
from distilwhy.manifests import begin_stage, stage_is_done, write_manifest
from distilwhy.outputs import check_output_file, check_output_folder
from distilwhy.pipeline.beside import (
    cost_path,
    costs_path,
    read_costs,
    rejects_path,
    store_path,
    write_outcome,
    write_predictions,
)
from distilwhy.pipeline.checks import check_ids
from distilwhy.progress import progress_bar, say
from distilwhy.prompts.library import load_prompts
from distilwhy.records import (
    TRAINING_SUMMARY,
    Annotation,
    Example,
    Prediction,
    TrainingSummary,
)
from distilwhy.tasks import Split, load_task
from distilwhy.tasks.base import checked_split
from distilwhy.teaching.own_steps import load_own_steps

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator

TaskLike = str | Mapping[str, Any]
PathLike = str | Path

BASELINES = ("majority", "random")
NO_TEXT_CHANGES = BackendSettings.model_fields.keys() - {"precision"}
"""Settings of a teacher that change no text, so that changing them does no work again."""

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
    from distilwhy.generators.open import open_generator
    from distilwhy.teaching.annotate import annotate

    out = Path(out)
    check_output_file(out)
    settings = _setting(TeacherSettings, teacher, "model")
    examples = _examples(task, split, limit, seed, base, out)
    fixed = _asking(settings, examples, seed)
    if stage_is_done(out, "generate", {}, fixed):
        say(f"{out} is up to date.")
        return read_records(out, Annotation)
    run = begin_stage("generate", {}, fixed, seed)
    generator = generator or open_generator(settings.model, settings)
    with progress_bar("teacher texts", 0) as advance:
        result = annotate(
            examples,
            generator,
            settings,
            seed=seed,
            store_path=store_path(out),
            progress=advance,
        )
    write_json(cost_path(out), result.cost.model_dump(mode="json"))
    write_outcome(out, result.outcome, result.unlabelled)
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
    inputs = {"annotations": annotations, **_local_model(student.model)}
    check_output_folder(out, *inputs.values())
    if stage_is_done(out, "train", inputs, fixed):
        say(f"{out} is up to date.")
        return TrainingSummary.model_validate(read_json(out / TRAINING_SUMMARY))
    records = read_records(annotations, Annotation)
    check_ids(records, annotations)
    # Deferred, so that a finished stage does not load torch.
    from distilwhy.training.train import train as train_student

    run = begin_stage("train", inputs, fixed, settings.seed)
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
        raise ModelError(f"{student} is not a folder.", "Give the folder that training wrote.")
    check_output_file(out, student)
    examples = _examples(task, split, limit, seed, base, out)
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
    check_output_file(out)
    fixed = _asking(teacher, examples, seed)
    if stage_is_done(out, "ask", {}, fixed):
        say(f"{out} is up to date.")
        return read_records(out, Prediction)
    from distilwhy.generators.open import open_generator
    from distilwhy.inference.predict import ask_teacher

    run = begin_stage("ask", {}, fixed, seed)
    generator = generator or open_generator(teacher.model, teacher)
    predicted = ask_teacher(generator, examples, teacher, seed=seed, store_path=store_path(out))
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
    fixed = {"name": name, "seed": seed, **_content(examples)}
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


def _asking(teacher: TeacherSettings, examples: Sequence[Example], seed: int) -> dict[str, Any]:
    """Return all that shapes what a teacher is asked, the words of the prompts included."""
    families = sorted({example.family for example in examples})
    return {
        "teacher": teacher.model_dump(mode="json", exclude=NO_TEXT_CHANGES),
        "prompts": [load_prompts(family, teacher.prompts).digest for family in families],
        "own_steps": [p.digest for family in families for p in load_own_steps(teacher, family)],
        "seed": seed,
        **_content(examples),
    }


def _examples(
    task: TaskLike, split: Split, limit: int | None, seed: int, base: Path | None, out: Path
) -> list[Example]:
    """Return the examples that a stage works on."""
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is {limit}.", "Give 1 or more, or none to use all examples.")
    return load_task(task, base, rejects_path(out)).load(checked_split(split), limit, seed)


def _local_model(model: str) -> dict[str, Path]:
    """Return a base model's folder among a stage's inputs, where it is one on this machine."""
    name = model.removeprefix("hf:")
    # An empty name is refused later; as a path it would be the working folder.
    return {"student": Path(name)} if name and Path(name).is_dir() else {}


def _content(examples: Sequence[Example]) -> dict[str, str]:
    """Return what identifies the examples among a stage's settings."""
    return {"examples": sha256_json([example.model_dump(mode="json") for example in examples])}


def _setting(kind: type[SettingsT], value: Any, field: str) -> SettingsT:
    return value if isinstance(value, kind) else kind.model_validate({field: value})
