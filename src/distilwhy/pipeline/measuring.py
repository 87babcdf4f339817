"""The measure stage: predictions, and whoever can be asked about them, to figures of explanations.

Each measure is a stage of its own, so that adding one does no other again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import MeasureSettings, PredictionSettings
from distilwhy.errors import DataError, ModelError
from distilwhy.explainability import (
    MEASURES,
    MeasureResult,
    Subject,
    alternatives,
    check_given,
    measure,
)
from distilwhy.files import read_json, read_records, write_json
from distilwhy.judging.people import HumanRating, read_human_ratings
from distilwhy.manifests import SUFFIX, StageRun, begin_stage, stage_is_done, write_manifest
from distilwhy.outputs import check_output_folder
from distilwhy.pipeline.inputs import content, local_teacher
from distilwhy.pipeline.judging import (
    base_of,
    judge_asking,
    judge_files,
    judge_of,
    tell_unreadable,
    verdicts_path,
)
from distilwhy.progress import say
from distilwhy.records import Annotation, Prediction
from distilwhy.tasks.rows import draw

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator, Scorer
    from distilwhy.inference.student import TrainedStudent


def measures_folder(figures: Path) -> Path:
    """Return the folder of the measures that lies beside a predictor's metrics.json."""
    return figures.with_suffix(".measures")


def measure_files(folder: Path) -> list[Path]:
    """Return the files of measures in a folder, by name; none where there is no folder."""
    return [path for path in sorted(folder.glob("*.json")) if not path.name.endswith(SUFFIX)]


def read_measures(folder: Path) -> list[MeasureResult]:
    """Return the results that lie in a folder, in the order of their names."""
    return [MeasureResult.model_validate(read_json(path)) for path in measure_files(folder)]


class Asked:
    """Whoever measures may ask, loaded when the first measure needs it.

    Args:
        settings: Which models.
        student: Folder of the trained student, if any.
        prediction: How the student is asked.
        references: Annotations file of the questions, if any.
        ratings: Table of people's ratings, if any.
        verdicts: The store of the judge's verdicts; ``None`` keeps none.
        judge: The judge's model, where it is loaded already.
    """

    def __init__(
        self,
        settings: MeasureSettings,
        student: Path | None,
        prediction: PredictionSettings,
        references: Path | None = None,
        ratings: Path | None = None,
        verdicts: Path | None = None,
        judge: Generator | None = None,
    ) -> None:
        self.settings = settings
        self.folder = student
        self.prediction = prediction
        self.files = {"references": references, "ratings": ratings}
        self.verdicts = verdicts
        self._judge = judge

    @cached_property
    def student(self) -> TrainedStudent | None:
        """The student."""
        if self.folder is None:
            return None
        from distilwhy.inference.student import TrainedStudent

        return TrainedStudent(self.folder, self.prediction)

    @cached_property
    def scorer(self) -> Scorer | None:
        """The scorer model.

        Raises:
            ModelError: When it cannot tell how likely a text is.
        """
        model = self.settings.scorer
        if model is None:
            return None
        from distilwhy.generators.open import open_generator

        opened: Any = open_generator(model)
        if not hasattr(opened, "score"):
            raise ModelError(
                f"The scorer {model} cannot tell how likely a text is.",
                "Name a model on this machine, e.g. 'embedded' or hf:NAME.",
            )
        scorer: Scorer = opened
        return scorer

    @cached_property
    def judge_model(self) -> Generator:
        """The judge's model."""
        from distilwhy.generators.open import lazy_generator

        assert self.settings.judge is not None
        return self._judge or lazy_generator(self.settings.judge.model, self.settings.judge)

    @cached_property
    def references(self) -> Mapping[str, Annotation]:
        """The teacher's texts by example id."""
        path = self.files["references"]
        found = read_records(path, Annotation) if path else []
        return {annotation.example.id: annotation for annotation in found}

    @cached_property
    def ratings(self) -> Sequence[HumanRating]:
        """People's ratings of explanations.

        Raises:
            DataError: When their table cannot be used.
        """
        path = self.files["ratings"]
        return read_human_ratings(path) if path else ()

    @cached_property
    def base(self) -> str | None:
        """Model string of what the student was trained from, where that is known."""
        return base_of(self.folder)

    @cached_property
    def compared(self) -> dict[str, str]:
        """With what of the references explanations are compared, and by which model."""
        settings = self.settings
        found: dict[str, str] = {}
        if settings.data is not None:
            found["data"] = settings.data
        elif self.folder is not None:
            from distilwhy.students.load import read_card

            found["data"] = read_card(self.folder).condition.data
        if settings.embedder is not None:
            found["embedder"] = settings.embedder
        return found

    def needs(self, measure: str) -> list[str]:
        """Return what a measure asks or uses, of what there is."""
        named = {
            "student": self.folder,
            "scorer": self.settings.scorer,
            "judge": self.settings.judge,
            **self.files,
        }
        found = MEASURES.get(measure)
        wanted = [name for need in found.needs for name in alternatives(need)]
        wanted += getattr(found, "uses", ())
        return [name for name in wanted if named[name] is not None]

    def check_has(self, measure: str) -> None:
        """Refuse a measure that lacks what it needs, before any model is loaded.

        Raises:
            ConfigError: Naming what is missing; when there is no such measure.
        """
        check_given(MEASURES.get(measure).needs, self.needs(measure), measure)
        for name, path in self.files.items():
            if name in self.needs(measure) and path is not None and not path.is_file():
                raise DataError(f"{path} is not there, or no file.", f"Mend the path of {name}.")

    def inputs(self, measure: str) -> dict[str, Path]:
        """Return the files and folders that a measure's result depends on."""
        needs, found = self.needs(measure), {}
        if "student" in needs and self.folder is not None:
            found["student"] = self.folder
        found |= {name: path for name, path in self.files.items() if name in needs and path}
        if "scorer" in needs and self.settings.scorer is not None:
            found |= {f"scorer_{k}": v for k, v in local_teacher(self.settings.scorer).items()}
        if "judge" in needs and self.settings.judge is not None:
            found |= judge_files(self.settings.judge)
        return found

    def fixed(self, measure: str) -> dict[str, Any]:
        """Return the settings that a measure's result depends on."""
        needs, settings = self.needs(measure), self.settings.model_dump(mode="json")
        found = {name: settings[name] for name in ("scorer",) if name in needs}
        if "judge" in needs and self.settings.judge is not None:
            found |= {"judge": judge_asking(self.settings.judge), "base": self.base}
        if "references" in needs:
            found |= self.compared
        if "student" in needs:
            found["prediction"] = self.prediction.model_dump(mode="json")
            found["probe"] = self.settings.probe
        wording = getattr(MEASURES.get(measure), "wording", None)
        return found if wording is None else {**found, "wording": wording}

    def subject(self, measure: str, records: Sequence[Prediction], run: StageRun) -> Subject:
        """Return what a measure judges, with whoever it asks.

        Args:
            measure: The measure's name.
            records: The predictions.
            run: The stage.
        """
        needs, seed = self.needs(measure), run.seed or 0
        asked: dict[str, Any] = {name: getattr(self, name) for name in needs if name != "judge"}
        if "judge" in needs and self.settings.judge is not None:
            asked |= {
                "judge": judge_of(self.settings.judge, self.judge_model, self.verdicts, run),
                "base": self.base,
            }
        if "references" in needs:
            asked |= self.compared
        return Subject(records, probe=self.settings.probe, seed=seed, **asked)


def measure_all(
    predictions: str | Path | Sequence[Prediction],
    out: str | Path | None,
    settings: MeasureSettings,
    *,
    student: str | Path | None = None,
    prediction: PredictionSettings | None = None,
    references: str | Path | None = None,
    ratings: str | Path | None = None,
    verdicts: Path | None = None,
    judge: Generator | None = None,
    seed: int = 0,
) -> list[MeasureResult]:
    """Judge a predictor's explanations by several measures.

    Args:
        predictions: The predictions file, or predictions.
        out: Folder for one file a measure; ``None`` writes nothing.
        settings: Measures and models.
        student: Folder of the student, for measures that ask it again.
        prediction: How the student is asked.
        references: Annotations file in place of the settings' own.
        ratings: Table of people's ratings in place of the settings' own.
        verdicts: The store of the judge's verdicts, which others may share; in ``out`` when unset.
        judge: The judge's model, where it is loaded already.
        seed: Seed of all draws and intervals.

    Returns:
        One result a measure, in the settings' order.

    Raises:
        UserError: When a measure, a model or a file cannot be used.
        StoppedError: When the judge's budget is reached, or at a SIGINT or SIGTERM.
    """
    if isinstance(predictions, str | Path):
        predictions = read_records(Path(predictions), Prediction)
    records = draw(predictions, settings.limit, seed)
    folder = Path(out) if out is not None else None
    if verdicts is None and folder is not None:
        verdicts = verdicts_path(folder)
    references, ratings = references or settings.references, ratings or settings.ratings
    asked = Asked(
        settings,
        Path(student) if student is not None else None,
        prediction or PredictionSettings(),
        Path(references) if references else None,
        Path(ratings) if ratings else None,
        verdicts=verdicts,
        judge=judge,
    )
    for name in settings.measures:
        asked.check_has(name)
    if folder is not None:
        check_output_folder(folder)
    return [_measured(name, records, asked, folder, seed) for name in settings.measures]


def _measured(
    name: str, records: Sequence[Prediction], asked: Asked, folder: Path | None, seed: int
) -> MeasureResult:
    """Return one measure's result: that of the file, where it is what would be found again."""
    inputs = asked.inputs(name)
    fixed = {
        **asked.fixed(name),
        **content(records),
        "measure": name,
        "seed": seed,
    }
    file = None if folder is None else folder / f"{name}.json"
    if file is not None and stage_is_done(file, "measure", inputs, fixed):
        return MeasureResult.model_validate(read_json(file))
    say(f"Measure {name}.")
    run = begin_stage("measure", inputs, fixed, seed)
    subject = asked.subject(name, records, run)
    result = measure(name, subject)
    unreadable, verdicts = (result.details.get(key) for key in ("unreadable", "verdicts"))
    if isinstance(unreadable, int) and isinstance(verdicts, int):
        tell_unreadable(unreadable, verdicts)
    if file is not None:
        write_json(file, result.model_dump(mode="json"))
        # Without a manifest the same command asks for what was refused once more.
        if not getattr(subject.judge, "refused", 0):
            write_manifest(file, run)
    return result
