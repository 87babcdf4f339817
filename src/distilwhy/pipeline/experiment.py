"""A whole experiment: the teacher's texts, every cell, the figures and the report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from distilwhy.config import Experiment, load_experiment, to_yaml
from distilwhy.errors import DataError
from distilwhy.files import atomic_text, read_records, write_records
from distilwhy.manifests import begin_stage, stage_is_done, write_manifest
from distilwhy.pipeline import stages
from distilwhy.pipeline.cells import Cell, cells_of, slug
from distilwhy.progress import say
from distilwhy.records import Annotation, Example
from distilwhy.tasks import load_task
from distilwhy.tasks.rows import draw

if TYPE_CHECKING:
    from distilwhy.generators.base import Decoding, Generated, Generator


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
        return open_generator(settings.model, batch_size=settings.batch_size)

    def run(self) -> Path:
        """Run all that is not done yet and return the report's path.

        Raises:
            UserError: When the task, a model or a setting cannot be used.
        """
        from distilwhy.models.load import check_model
        from distilwhy.pipeline.collect import collect
        from distilwhy.report import write_report
        from distilwhy.training.methods import resolve_method

        # What can be refused is refused before anything is paid for.
        for condition in self.experiment.conditions:
            resolve_method(condition)
        for student in self.experiment.students:
            check_model(student.model)
        start = time.monotonic()
        with atomic_text(self.folder / "experiment.yaml") as stream:
            stream.write(to_yaml(self.experiment))
        self._teach()
        self._ask_baselines()
        self._free_teacher()
        for number, cell in enumerate(self.cells, 1):
            say(f"Cell {number} of {len(self.cells)}: {cell.condition.label}, seed {cell.seed}.")
            self._run_cell(cell)
        write_report(collect(self), self.report)
        say(f"Done in {time.monotonic() - start:.0f} s: {self.report}")
        return self.report

    def _teach(self) -> None:
        """Make annotations.jsonl: the teacher's texts, or a subset of a given file."""
        experiment = self.experiment
        drafts = self.folder / "teacher" / "annotations.jsonl"
        if experiment.annotations is not None:
            source = (self.base or Path()) / experiment.annotations
        else:
            assert experiment.teacher is not None
            source = drafts
            done = stages.generate(
                experiment.task,
                experiment.teacher,
                drafts,
                limit=experiment.limits.train,
                seed=experiment.seed,
                base=self.base,
                generator=LazyTeacher(self),
            )
            say(f"{len(done)} examples annotated.")
        self._select(source)

    def _select(self, source: Path) -> None:
        """Take the training examples, without any that is also a test question."""
        limit, seed = self.experiment.limits.train, self.experiment.seed
        test = {fingerprint(example) for example in self.test}
        settings = {"limit": limit, "seed": seed, "test": sorted(test)}
        if stage_is_done(self.annotations, "select", {"annotations": source}, settings):
            return
        run = begin_stage("select", {"annotations": source}, settings, seed)
        given = {a.example.id: a for a in read_records(source, Annotation)}
        apart = [a.example for a in given.values() if fingerprint(a.example) not in test]
        if left_out := len(given) - len(apart):
            say(f"{left_out} training examples are test questions and are left out.")
        if not apart:
            raise DataError(f"{source} holds no example outside the test set.", "Give others.")
        write_records(self.annotations, [given[e.id] for e in draw(apart, limit, seed)])
        write_manifest(self.annotations, run)

    def _ask_baselines(self) -> None:
        """Answer the test set with the trivial baselines, and with the teacher itself."""
        seed = self.experiment.seed
        for name in stages.BASELINES:
            stages.baseline(name, self.annotations, self.test, self.baseline(name), seed=seed)
        if self.asks_teacher:
            assert self.experiment.teacher is not None
            stages.ask(
                self.experiment.teacher,
                self.test,
                self.teacher_predictions,
                seed=seed,
                generator=LazyTeacher(self),
            )

    def _run_cell(self, cell: Cell) -> None:
        experiment = self.experiment
        stages.train(
            self.annotations,
            cell.trained,
            student=cell.student,
            condition=cell.condition,
            settings=experiment.training.model_copy(update={"seed": cell.seed}),
        )
        stages.predict(
            cell.trained,
            experiment.task,
            cell.predictions,
            limit=experiment.limits.test,
            seed=experiment.seed,
            settings=experiment.prediction,
            base=self.base,
        )
        stages.evaluate(cell.predictions, cell.folder / "metrics.json", seed=experiment.seed)

    def _free_teacher(self) -> None:
        """Give the teacher's memory back before students are trained."""
        self.__dict__.pop("teacher", None)

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher's own accuracy is measured."""
        return self.experiment.teacher is not None and self.experiment.ask_teacher

    @property
    def teacher_predictions(self) -> Path:
        """The teacher's own predictions file."""
        return self.folder / "teacher" / "predictions.jsonl"

    def baseline(self, name: str) -> Path:
        """Return the predictions file of a baseline."""
        return self.folder / "baselines" / f"{name}.jsonl"


class LazyTeacher:
    """A teacher that is loaded when it is first asked, so that a finished stage loads none."""

    def __init__(self, run: ExperimentRun) -> None:
        self._run = run
        settings = run.experiment.teacher
        self.name = settings.model if settings else ""

    def generate(
        self, prompts: Sequence[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield texts; see :class:`Generator`."""
        return self._run.teacher.generate(prompts, decoding)

    def score(self, prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """Return log-likelihoods; see :class:`Generator`."""
        return self._run.teacher.score(prompts, continuations)

    @property
    def precision(self) -> str:
        """Precision that the teacher runs in."""
        return str(getattr(self._run.teacher, "precision", "unknown"))


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
    path = Path(experiment)
    loaded = load_experiment(path)
    return ExperimentRun(loaded, folder or Path("runs") / path.stem, path.parent).run()


def fingerprint(example: Example) -> str:
    """Return what makes two examples the same question, whatever their ids."""
    return " | ".join([example.context or "", example.question, *example.choices]).casefold()
