"""What of an experiment can be refused is refused before anything is paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from distilwhy.config import Condition, Experiment, MeasureSettings, RaySettings, TeachingSettings
from distilwhy.errors import ConfigError, DataError, Fault, raise_faults
from distilwhy.evaluation.accuracy import check_answers_known
from distilwhy.explainability import MEASURES, check_given
from distilwhy.judging.people import read_human_ratings
from distilwhy.manifests import manifest_path
from distilwhy.pipeline.cells import Cell, swaps_tags
from distilwhy.pipeline.inputs import given_path
from distilwhy.progress import say
from distilwhy.records import Annotation, Example, Family, TeacherText
from distilwhy.students.mixing import TEACHER, mixed
from distilwhy.students.views import ViewOptions, make_rows
from distilwhy.tasks import load_task
from distilwhy.tasks.words import collapse
from distilwhy.training.methods import check_condition, resolve_method


def check_experiment(experiment: Experiment, cells: Sequence[Cell], base: Path | None) -> None:
    """Refuse an experiment that could not be finished.

    Args:
        experiment: The experiment.
        cells: Its cells.
        base: Folder that relative paths start from.

    Raises:
        UserError: When a method, the task, a base model or a folder's name cannot be used, or when
            a method needs texts that the teacher is not asked for.
    """
    for condition in experiment.conditions:
        check_condition(condition)
    _check_folders(cells)
    if experiment.swapped_tags and not any(swaps_tags(experiment, cell) for cell in cells):
        raise ConfigError(
            "swapped_tags has no effect: every student learns one view, whose tag cannot be "
            "swapped.",
            "Leave it away, or add a method of several views.",
        )
    if experiment.engine == "local" and experiment.ray != RaySettings():
        say("ray has no effect with engine local.")
    check_measures(experiment.explanations, base)
    family = load_task(experiment.task, base).family
    if experiment.teacher is not None:
        asked = _asked_for(experiment.teacher, family)
        # What other sources hold shows when their files are read.
        alone = [c for c in experiment.conditions if set(c.learn_from or [TEACHER]) == {TEACHER}]
        check_texts(alone, [asked])
    # A finished cell needs its base model no more, and looking for models takes seconds.
    unfinished = [cell for cell in cells if not manifest_path(cell.trained).is_file()]
    if unfinished and experiment.engine == "ray":
        from distilwhy.generators.ray_cluster import import_ray

        import_ray()
    if unfinished:
        _check_runs(unfinished, experiment, family)


def check_measures(settings: MeasureSettings, base: Path | None = None) -> None:
    """Refuse measures that there are not, or that lack what they need, and unusable ratings.

    Args:
        settings: Those of an experiment, whose students can all be asked again.
        base: Folder that relative paths start from.
    """
    given = ["student", *(n for n in ("scorer", "judge", "references") if getattr(settings, n))]
    for name in settings.measures:
        check_given(MEASURES.get(name).needs, given, name)
    if settings.ratings is not None:
        read_human_ratings(given_path(settings.ratings, base))


def with_teacher(condition: Condition, experiment: Experiment) -> Condition:
    """Return a condition whose soft labels name their teacher: the experiment's when unset."""
    soft, teacher = condition.soft, experiment.teacher
    if soft is None or soft.teacher is not None or teacher is None:
        return condition
    named = soft.model_copy(update={"teacher": teacher.model})
    return condition.model_copy(update={"soft": named})


def _check_runs(cells: Sequence[Cell], experiment: Experiment, family: Family) -> None:
    """Refuse what the training of a cell would refuse."""
    from distilwhy.training.checks import check_training

    checked = []
    for cell in cells:
        run = (cell.student, cell.condition)
        if run in checked:  # with another seed
            continue
        checked.append(run)
        condition = with_teacher(cell.condition, experiment)
        check_training(cell.student, condition, experiment.training, {family})


def check_texts(conditions: Sequence[Condition], annotations: Sequence[Annotation]) -> None:
    """Refuse conditions that learn from texts which no annotation holds.

    Raises:
        ConfigError: When there is one.
    """
    for condition in conditions:
        learnt = mixed(annotations, condition, 0).annotations
        make_rows(learnt, list(resolve_method(condition).weights), ViewOptions(data=condition.data))


def check_ids(annotations: Sequence[Annotation], source: Path) -> None:
    """Refuse annotations of which two have the same example id.

    Raises:
        DataError: Naming all such ids.
    """
    counts = Counter(annotation.example.id for annotation in annotations)
    faults = [
        Fault(str(source), f"example {name!r} is annotated {count} times")
        for name, count in counts.items()
        if count > 1
    ]
    raise_faults(DataError, str(source), faults, "Keep one annotation an example.")


def check_test(examples: Sequence[Example]) -> None:
    """Refuse test examples that could not be scored.

    Raises:
        DataError: When there are none, or some have no right answer.
    """
    if not examples:
        raise DataError("There is no test example.", "Give at least one.")
    check_answers_known(examples)


def fingerprint(example: Example) -> str:
    """Return what makes two examples the same question, whatever their ids and choices' order."""
    texts = [example.context or "", example.question, *sorted(example.choices)]
    return " | ".join(collapse(text) for text in texts).casefold()


def _check_folders(cells: Sequence[Cell]) -> None:
    """Refuse labels whose folders would be the same, also where case makes no difference."""
    for kind, folders in (
        ("conditions", {cell.condition.label: cell.folder.parts[-3] for cell in cells}),
        ("students", {cell.student.label: cell.folder.parts[-2] for cell in cells}),
    ):
        taken: dict[str, str] = {}
        for label, folder in folders.items():
            other = taken.setdefault(folder.casefold(), label)
            if other != label:
                raise ConfigError(
                    f"{kind}: {other!r} and {label!r} would share the folder {folder!r}.",
                    "Give one of them another name.",
                )


def _asked_for(teacher: TeachingSettings, family: Family) -> Annotation:
    """Return an annotation that holds a text of every step that the teacher is asked for."""
    text, steps = TeacherText(text="text"), teacher.steps
    example = Example(
        id="x", question="x", choices=("yes", "no"), answer="yes", context="x", family=family
    )
    return Annotation(
        example=example,
        teacher="",
        rationale=text if "rationale" in steps else None,
        critique=text if "critique" in steps else None,
        revision=text if "revision" in steps else None,
        counterfactuals={"no": text} if "counterfactual" in steps else {},
        extra={step.name: text for step in teacher.own_steps},
    )
