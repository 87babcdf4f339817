"""The records that hold all that a report shows; the pipeline fills them from a run's files."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from distilwhy.comparison.robust import RobustAnalysis
from distilwhy.evaluation.contamination import Contamination
from distilwhy.evaluation.metrics import Metrics
from distilwhy.explainability import MeasureResult
from distilwhy.judging.preference import Preferences
from distilwhy.records import Annotation, Control, Prediction, Record
from distilwhy.report.appendix import Appendix

EntryKind = Literal["student", "control", "teacher", "baseline"]

ControlKind = Control | Literal["swapped_tags"]
"""How a control was made: by spoiled explanations in training, or by other tags when asked."""


class Entry(Record):
    """One predictor that the report compares.

    Args:
        name: Unique in the report and shown wherever the predictor is, e.g.
            ``multitask : unrevised``.
        kind: A student trained here, one spoiled on purpose, the teacher asked without the gold
            answer, or a baseline.
        student: The student's label; ``None`` for teachers and baselines.
        seed: Its training seed; ``None`` for teachers and baselines.
        condition: Its condition's label; ``None`` for teachers and baselines.
        control: How a control was spoiled; ``None`` for all others.
        metrics: Its figures on the test split.
        predictions: Its predictions on the test split, in the order of the test file.
        measures: What measures found of its explanations.
    """

    name: str = Field(min_length=1)
    kind: EntryKind
    student: str | None = None
    seed: int | None = None
    condition: str | None = None
    control: ControlKind | None = None
    metrics: Metrics
    predictions: tuple[Prediction, ...] = ()
    measures: tuple[MeasureResult, ...] = ()

    def measure(self, name: str) -> MeasureResult | None:
        """Return what a measure found; ``None`` where it was not made."""
        return next((result for result in self.measures if result.measure == name), None)


class Comparison(Record):
    """A paired comparison of two predictors on the same questions.

    Args:
        a: Name of the first entry.
        b: Name of the second entry.
        difference: Accuracy of ``a`` minus accuracy of ``b``, from -1 to 1.
        ci_low: Lower end of the 95 % interval of the difference.
        ci_high: Its upper end.
        p: McNemar's p-value, not corrected for the number of comparisons.
        n: Questions that both answered.
        only_a_right: Questions that only ``a`` answered rightly.
        only_b_right: Questions that only ``b`` answered rightly.
    """

    a: str
    b: str
    difference: float = Field(ge=-1, le=1)
    ci_low: float
    ci_high: float
    p: float = Field(ge=0, le=1)
    n: int = Field(ge=0)
    only_a_right: int = Field(ge=0)
    only_b_right: int = Field(ge=0)


class GateCounts(Record):
    """What the quality gates noticed at one teaching step.

    Args:
        n: Texts of the step.
        flags: Texts that failed each gate, by the gate's name; one text may fail several.
    """

    n: int = Field(ge=0)
    flags: dict[str, int] = Field(default_factory=dict)


class TokenCounts(Record):
    """What one teaching step cost in tokens.

    Args:
        prompt: Prompt tokens, all requests together.
        completion: Generated tokens, all requests together.
    """

    prompt: int = Field(ge=0)
    completion: int = Field(ge=0)


class TeachingFigure(Record):
    """One figure of what the methods of generation brought.

    Args:
        name: What was counted, e.g. ``Own rationales kept``.
        count: How many.
        total: Of how many; ``None`` where there is no whole.
    """

    name: str
    count: int = Field(ge=0)
    total: int | None = Field(None, ge=0)


class ReportData(Record):
    """All that a report shows.

    Args:
        title: Title of the page; the experiment's name.
        generated: When the report was made, with its time zone.
        task: The task's name.
        n_train: Training examples used.
        n_validation: Validation examples used; 0 where the task has none.
        n_test: Test examples used.
        config_yaml: The resolved experiment file.
        versions: Package versions by name.
        machine: What is known of the machine, by name.
        seconds: Duration of the whole run.
        stage_seconds: Duration of each stage, in the order run.
        gates: Gate counts by teaching step.
        tokens: Teacher tokens by teaching step.
        outcome: What the methods of generation brought; empty where none was used.
        entries: Predictors, in the order in which tables show them.
        comparisons: Paired comparisons; each names two entries.
        samples: The first few annotations.
        appendix: A methods section for a paper.
        contamination: Test questions that training nearly repeats; ``None`` where not looked for.
        preferences: What a judge prefers of the conditions' explanations; ``None`` where not asked.
        over_seeds: How conditions differ over several seeds; ``None`` where there is one seed only.
    """

    title: str
    generated: datetime
    task: str
    n_train: int = Field(ge=0)
    n_validation: int = Field(ge=0)
    n_test: int = Field(ge=0)
    config_yaml: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str | int | float | None] = Field(default_factory=dict)
    seconds: float = Field(0.0, ge=0)
    stage_seconds: dict[str, float] = Field(default_factory=dict)
    gates: dict[str, GateCounts] = Field(default_factory=dict)
    tokens: dict[str, TokenCounts] = Field(default_factory=dict)
    outcome: tuple[TeachingFigure, ...] = ()
    entries: tuple[Entry, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()
    samples: tuple[Annotation, ...] = ()
    appendix: Appendix = Appendix()
    contamination: Contamination | None = None
    preferences: Preferences | None = None
    over_seeds: RobustAnalysis | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = Counter(entry.name for entry in self.entries)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"entries share a name: {', '.join(twice)}")
        named = {name for item in self.comparisons for name in (item.a, item.b)}
        if unknown := sorted(named - set(names)):
            raise ValueError(f"comparisons name no entry: {', '.join(unknown)}")
        return self

    def of_kind(self, kind: EntryKind) -> tuple[Entry, ...]:
        """Return the entries of one kind, in order."""
        return tuple(entry for entry in self.entries if entry.kind == kind)
