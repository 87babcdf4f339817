"""A whole experiment: the teacher's texts, every cell, the figures and the report."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from distilwhy.config import Experiment, TeacherSettings, load_experiment, to_yaml
from distilwhy.errors import DataError, ModelError
from distilwhy.files import atomic_text, read_records, read_text, sha256_json, slug, write_records
from distilwhy.generators.lazy import LazyGenerator
from distilwhy.manifests import begin_stage, stage_is_done, write_manifest
from distilwhy.outputs import check_output_file, make_folder
from distilwhy.pipeline import stages
from distilwhy.pipeline.beside import store_path
from distilwhy.pipeline.cell_runs import CellRun, run_in_turn
from distilwhy.pipeline.cells import Cell, cells_of, entry_name
from distilwhy.pipeline.checks import (
    check_experiment,
    check_ids,
    check_test,
    check_texts,
    fingerprint,
)
from distilwhy.pipeline.inputs import given_path
from distilwhy.pipeline.judged_cells import judge_cells
from distilwhy.pipeline.sources import with_sources
from distilwhy.progress import say
from distilwhy.records import Annotation, Example
from distilwhy.tasks import load_task
from distilwhy.tasks.rows import draw

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator


class ExperimentRun:
    """An experiment and the folder that it runs in.

    Args:
        experiment: What to run.
        folder: Folder of all outputs.
        base: Folder that relative paths in the experiment file start from.
    """

    def __init__(self, experiment: Experiment, folder: Path, base: Path | None = None) -> None:
        self.experiment = experiment
        self.folder = folder
        self.base = base
        self.annotations = folder / "annotations.jsonl"
        self.drafts = folder / "teacher" / "annotations.jsonl"
        self.report = folder / "report.html"

    @property
    def cells(self) -> list[Cell]:
        """All cells, in the order in which they run."""
        return cells_of(self.experiment, self.folder)

    @cached_property
    def test(self) -> list[Example]:
        """The test examples; they are used for prediction and evaluation only."""
        experiment = self.experiment
        task = load_task(experiment.task, self.base, self.folder / "rejects")
        return task.load("test", experiment.limits.test, experiment.seed)

    @cached_property
    def teacher(self) -> Generator:
        """The teacher, loaded on first use and then kept."""
        from distilwhy.generators.open import open_generator

        settings = self.experiment.teacher
        assert settings is not None
        say(f"Loading the teacher {settings.model}.")
        return open_generator(settings.model, settings)

    def check(self) -> None:
        """Refuse what could not be finished.

        Raises:
            UserError: When the task, a model or a setting cannot be used.
        """
        check_experiment(self.experiment, self.cells, self.base)
        check_test(self.test)
        if not self.annotations.exists():
            for path in (self.experiment.annotations, *self.experiment.sources.values()):
                if path is not None:
                    check_ids(read_records(self._given(path), Annotation), Path(path))

    def run(self) -> Path:
        """Run all that is not done yet and return the report's path.

        Raises:
            UserError: When the task, a model or a setting cannot be used.
        """
        start = time.monotonic()
        self.check()
        make_folder(self.folder)
        self._write_settings()
        self._teach()
        check_texts(self.experiment.conditions, read_records(self.annotations, Annotation))
        self._ask_baselines()
        self._ask_teacher()
        self._free_teacher()
        self._run_cells()
        judge_cells(self)
        self.write_report()
        say(f"Done in {time.monotonic() - start:.0f} s: {self.report}")
        return self.report

    def _write_settings(self) -> None:
        """Write the resolved experiment, unless it is there already."""
        text, path = to_yaml(self.experiment), self.folder / "experiment.yaml"
        if path.is_file() and read_text(path) == text:
            return
        with atomic_text(path) as stream:
            stream.write(text)

    def _teach(self) -> None:
        """Make annotations.jsonl: the teacher's texts, or a subset of a given file."""
        experiment = self.experiment
        if experiment.annotations is not None:
            source = self._given(experiment.annotations)
        else:
            source = self.drafts
            done = stages.generate(
                experiment.task,
                self.teacher_settings,
                self.drafts,
                limit=experiment.limits.train,
                seed=experiment.seed,
                base=self.base,
                generator=self._lazy_teacher,
                elsewhere=[store_path(self.teacher_predictions)],
            )
            say(f"{len(done)} examples annotated.")
        self._select(source)

    def _select(self, source: Path) -> None:
        """Take the training examples, without any that is also a test question."""
        limit, seed = self.experiment.limits.train, self.experiment.seed
        test = {fingerprint(example) for example in self.test}
        settings = {"limit": limit, "seed": seed, "test": sha256_json(sorted(test))}
        others = {name: self._given(path) for name, path in self.experiment.sources.items()}
        inputs = {"annotations": source, **{f"source {name}": p for name, p in others.items()}}
        check_output_file(self.annotations, *inputs.values())
        if stage_is_done(self.annotations, "select", inputs, settings):
            return
        run = begin_stage("select", inputs, settings, seed)
        annotations = read_records(source, Annotation)
        check_ids(annotations, source)
        given = {annotation.example.id: annotation for annotation in annotations}
        apart = [a.example for a in annotations if fingerprint(a.example) not in test]
        if left_out := len(annotations) - len(apart):
            say(f"{left_out} training examples are test questions and are left out.")
        if not apart:
            raise DataError(f"{source} holds no example outside the test set.", "Give others.")
        drawn = [given[e.id] for e in draw(apart, limit, seed)]
        write_records(self.annotations, with_sources(drawn, others))
        write_manifest(self.annotations, run)

    def _ask_baselines(self) -> None:
        """Answer the test set without looking at a question."""
        seed = self.experiment.seed
        for name in stages.BASELINES:
            stages.baseline(name, self.annotations, self.test, self.baseline(name), seed=seed)

    def _ask_teacher(self) -> None:
        """Have the teacher itself answer the test set."""
        if not self.asks_teacher:
            return
        try:
            stages.ask(
                self.teacher_settings,
                self.test,
                self.teacher_predictions,
                seed=self.experiment.seed,
                generator=self._lazy_teacher,
                elsewhere=[store_path(self.drafts)],
            )
        except ModelError as error:
            remedy = f"{error.remedy} With 'ask_teacher: false' its own answers are not needed."
            raise ModelError(error.message, remedy) from error

    def _run_cells(self) -> None:
        cells, experiment = self.cells, self.experiment
        runs = [
            CellRun(
                entry_name(cell, cells),
                cell,
                experiment,
                self.annotations,
                self.base,
                self.folder / "soft-labels",
            )
            for cell in cells
        ]
        if experiment.engine == "ray":
            from distilwhy.pipeline.cells_ray import run_on_ray

            run_on_ray(runs, experiment.ray)
            return
        run_in_turn(runs)

    def write_report(self) -> None:
        """Write the report, unless it shows the same files already.

        Raises:
            DataError: When a cell's predictions are missing.
        """
        from distilwhy.pipeline.collect import collect, files_of
        from distilwhy.report import write_report

        inputs = {path.relative_to(self.folder).as_posix(): path for path in files_of(self)}
        settings = {"experiment": self.experiment.model_dump(mode="json")}
        if stage_is_done(self.report, "report", inputs, settings):
            return
        run = begin_stage("report", inputs, settings)
        write_report(collect(self), self.report)
        write_manifest(self.report, run)

    def _given(self, path: str) -> Path:
        return given_path(path, self.base)

    @property
    def teacher_settings(self) -> TeacherSettings:
        """The teacher's settings, its files found from here."""
        settings = self.experiment.teacher
        assert settings is not None
        own = [
            step.model_copy(update={"prompts": str(self._given(step.prompts))})
            for step in settings.own_steps
        ]
        prompts = None if settings.prompts is None else str(self._given(settings.prompts))
        return settings.model_copy(update={"prompts": prompts, "own_steps": tuple(own)})

    @property
    def _lazy_teacher(self) -> LazyGenerator:
        """The teacher, loaded when it is first asked, so that a finished stage loads none."""
        return LazyGenerator(self.teacher_settings.model, lambda: self.teacher)

    def _free_teacher(self) -> None:
        """Give the teacher's memory back before students are trained."""
        self.__dict__.pop("teacher", None)

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher's own accuracy is measured."""
        return self.experiment.teacher is not None and self.experiment.ask_teacher

    @property
    def preferences(self) -> Path:
        """What the judge prefers of the conditions' explanations, where it is asked."""
        return self.folder / "judge" / "pairs.json"

    @property
    def teacher_predictions(self) -> Path:
        """The teacher's own predictions file."""
        return self.folder / "teacher" / "predictions.jsonl"

    def baseline(self, name: str) -> Path:
        """Return the predictions file of a baseline."""
        return self.folder / "baselines" / f"{name}.jsonl"


def experiment_run(experiment: str | Path, folder: Path | None = None) -> ExperimentRun:
    """Return the experiment of a YAML file, in its folder; ``runs/<file>`` when unset.

    Raises:
        ConfigError: When the file cannot be used.
    """
    path = Path(experiment)
    return ExperimentRun(load_experiment(path), folder or Path("runs") / path.stem, path.parent)


def run(experiment: Experiment | str | Path, out: str | Path | None = None) -> Path:
    """Run an experiment, or what of it is not done yet, and return the report's path.

    Args:
        experiment: The experiment, or its YAML file.
        out: Folder of all outputs; ``runs/<file or experiment name>`` when unset.

    Raises:
        UserError: When the file, the task, a model or a setting cannot be used.
    """
    folder = Path(out) if out is not None else None
    if isinstance(experiment, Experiment):
        return ExperimentRun(experiment, folder or Path("runs") / slug(experiment.name)).run()
    return experiment_run(experiment, folder).run()


def report(experiment: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of an experiment whose cells are done, and return its path.

    Args:
        experiment: The experiment's YAML file.
        out: The folder that it ran in; ``runs/<file>`` when unset.

    Raises:
        UserError: When the file cannot be used or a cell is not done.
    """
    finished = experiment_run(experiment, Path(out) if out is not None else None)
    finished.write_report()
    return finished.report
