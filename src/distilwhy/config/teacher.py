"""How the teacher is asked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distilwhy.config.base import Settings


class TeachingSettings(Settings):
    """How the teacher is asked."""

    steps: tuple[Literal["rationale", "critique", "revision", "counterfactual"], ...] = Field(
        ("rationale", "critique", "revision", "counterfactual"),
        description="Steps to run; revision needs critique, critique needs rationale.",
    )
    shots: int = Field(7, ge=1, le=7, description="Worked examples in each prompt.")
    adjective_pairs: int | Literal["all"] = Field(
        8,
        description="Pairs of adjectives drawn from; few keep prompt prefixes equal, "
        "'all' (306) is the paper's way.",
    )
    counterfactuals: Literal["all", "one"] = Field(
        "all", description="Argue for every wrong choice, or for one drawn by seed."
    )
    max_new_tokens: int = Field(96, ge=1, description="Token limit of one text.")
    chat: bool = Field(False, description="Use the model's chat template.")
    batch_size: int = Field(16, ge=1, description="Prompts answered together by a local model.")
    prompts: str | None = Field(
        None, description="Prompt file of your own (docs/teaching.md); the shipped one when unset."
    )

    @field_validator("adjective_pairs", mode="before")
    @classmethod
    def _check_pairs(cls, value: Any) -> Any:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if number != "all" and (type(number) is not int or not 1 <= number <= 306):
            raise ValueError("must be from 1 to 306, or 'all'")
        return number

    @model_validator(mode="after")
    def _check_steps(self) -> TeachingSettings:
        for step, needed in (("revision", "critique"), ("critique", "rationale")):
            if step in self.steps and needed not in self.steps:
                raise ValueError(f"step {step!r} needs step {needed!r}")
        return self


class TeacherSettings(TeachingSettings):
    """The teacher and how it is asked."""

    model: str = Field(description="Model string, e.g. embedded, hf:NAME, gguf:FILE.")
