"""One trial of a sweep: a short run whose result is kept, and whose student is not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilwhy.config import NO_WEIGHT_CHANGES, Condition, StudentSettings, TrainingSettings
from distilwhy.errors import StageError
from distilwhy.files import read_json, sha256_json, slug, write_json
from distilwhy.manifests import begin_stage, manifest_path, stage_is_done, write_manifest
from distilwhy.pipeline import stages
from distilwhy.pipeline.inputs import local_student
from distilwhy.records import Record, TrainingSummary


class Trial(Record):
    """One run of a sweep.

    Args:
        values: What it was tried with, by setting.
        held_out_loss: The lowest loss on held-out training rows; ``None`` where the run stopped.
        steps: Optimiser steps done.
        best_step: The step of that loss.
        seconds: Wall time of training.
        collapsed: What shows that the run brought no student; see ``TrainingSummary``.
        stopped: Why the run was stopped, e.g. a loss that is no number; ``None`` for a whole one.
    """

    values: dict[str, Any]
    held_out_loss: float | None = None
    steps: int = 0
    best_step: int = 0
    seconds: float = 0.0
    collapsed: tuple[str, ...] = ()
    stopped: str | None = None


@dataclass(frozen=True)
class TrialRun:
    """All that a trial needs; it can be sent to another process.

    Args:
        annotations: The annotations file.
        folder: The folder that trials are written to.
        student: The base model.
        condition: Method and data kind.
        settings: The trial's settings.
        values: Which of them are tried.
    """

    annotations: Path
    folder: Path
    student: StudentSettings
    condition: Condition
    settings: TrainingSettings
    values: dict[str, Any]

    @property
    def label(self) -> str:
        """The trial's values in words."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())

    @property
    def result(self) -> Path:
        """The file of the trial's result."""
        digest = sha256_json(self.values)[:8]
        return self.folder / f"{slug(self.label)[:40]}-{digest}.json"

    def run(self) -> Trial:
        """Train, unless that is done, and write the result; the student itself is not kept."""
        inputs = {"annotations": self.annotations, **local_student(self.student.model)}
        fixed = {
            "student": self.student.model_dump(mode="json"),
            "condition": self.condition.model_dump(mode="json"),
            "training": self.settings.model_dump(mode="json", exclude=NO_WEIGHT_CHANGES),
        }
        if stage_is_done(self.result, "trial", inputs, fixed):
            return Trial.model_validate(read_json(self.result))
        from distilwhy.training.checkpoints import (
            CHECKPOINTS,  # loads torch, which is not needed above
        )

        run = begin_stage("trial", inputs, fixed, self.settings.seed)
        trained = self.result.with_suffix("")
        try:
            summary = stages.train(
                self.annotations,
                trained,
                student=self.student,
                condition=self.condition,
                settings=self.settings,
            )
            trial = _trial(self.values, summary)
        except StageError as error:
            trial = Trial(values=self.values, stopped=str(error).partition(". ")[0])
        write_json(self.result, trial.model_dump(mode="json"))
        write_manifest(self.result, run)
        # What stopped a trial is left to be read.
        shutil.rmtree(trained / CHECKPOINTS if trial.stopped else trained, ignore_errors=True)
        manifest_path(trained).unlink(missing_ok=True)
        return trial


def _trial(values: dict[str, Any], summary: TrainingSummary) -> Trial:
    losses = [point.held_out_loss for point in summary.curve if point.step == summary.best_step]
    return Trial(
        values=values,
        held_out_loss=next((loss for loss in losses if loss is not None), None),
        steps=summary.steps,
        best_step=summary.best_step,
        seconds=summary.seconds,
        collapsed=summary.collapsed,
    )
