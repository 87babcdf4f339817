"""How explanations are judged."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from distilwhy.config.base import Settings
from distilwhy.config.judge import JudgeSettings
from distilwhy.records import DataKind


class MeasureSettings(Settings):
    """How explanations are judged (docs/measures)."""

    measures: tuple[str, ...] = Field(
        (), description="Measures, e.g. [surface, consistency, simulatability]."
    )
    scorer: str | None = Field(
        None,
        min_length=1,
        description="Local model that tells how likely a text is, for measures that need one, e.g. "
        "embedded or hf:NAME.",
    )
    judge: JudgeSettings | None = Field(
        None,
        description="Model that rates explanations, how it is asked and reached, and its budget "
        "(docs/measures/judge.md).",
    )
    pairs: bool = Field(
        False,
        description="Also have the judge compare the first seeds of all conditions in pairs, after "
        "all cells.",
    )
    references: str | None = Field(
        None,
        min_length=1,
        description="Annotations file of the test questions, for measures that compare with the "
        "teacher's texts.",
    )
    data: DataKind | None = Field(
        None,
        description="Which of the references' explanations texts are held against; the kind that "
        "the student learnt when unset, unrevised ones where no student is given.",
    )
    embedder: str | None = Field(
        None,
        min_length=1,
        description="Model of sentence-transformers, a name or a folder, for the measure semantic.",
    )
    ratings: str | None = Field(
        None,
        min_length=1,
        description="Table of people's ratings of explanations, for the judge's agreement with "
        "people (docs/measures/judge.md).",
    )
    limit: int | None = Field(
        None, ge=1, description="Judge so many explanations at most, drawn by seed; unset, all."
    )
    probe: bool = Field(
        False,
        description="Ask students that answer in a pass of its own to answer behind a rationale "
        "all the same (docs/measures/perturbation.md).",
    )

    @field_validator("measures")
    @classmethod
    def _check_measures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a measure stands twice")
        return value

    @model_validator(mode="after")
    def _check_pairs(self) -> MeasureSettings:
        if self.pairs and self.judge is None:
            raise ValueError("pairs need a judge")
        return self
