"""The prompt file of a step of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from distilwhy.config import Settings, read_yaml, validate
from distilwhy.errors import ConfigError
from distilwhy.files import sha256_json
from distilwhy.prompts.library import (
    COMMON_NAMES,
    REMEDY,
    WorkedQuestion,
    load_prompts,
    template_faults,
)
from distilwhy.records import Family


class OwnWorkedExample(WorkedQuestion):
    """One worked example of a step of one's own."""

    given: dict[str, str] = Field(
        default_factory=dict, description="Texts that the step builds on, by name."
    )
    text: str = Field(min_length=1, description="What the teacher should write.")

    @field_validator("text")
    @classmethod
    def _check_text(cls, value: str) -> str:
        return cls.one_line(value)

    @field_validator("given")
    @classmethod
    def _check_given(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: cls.one_line(text) for name, text in value.items()}


class OwnPrompts(Settings):
    """All that the prompts of a step of one's own are made of."""

    version: int = Field(description="Version of the content; raise it with every change.")
    family: Family = Field(description="Family of the questions.")
    header: str = Field("", description="First paragraph of the prompt.")
    block: str = Field(min_length=1, description="One question, up to where the text begins.")
    worked_examples: tuple[OwnWorkedExample, ...] = Field(
        min_length=1, description="Worked examples; the first ones, as many as shots, are shown."
    )
    adjectives: tuple[str, ...] = Field(
        min_length=2, description="Adjectives that describe the teacher, two in each prompt."
    )

    @model_validator(mode="after")
    def _check_names(self, info: ValidationInfo) -> Self:
        known = set((info.context or {}).get("known", ()))
        faults = template_faults(
            self.header, self.block, needed={"question"}, allowed=COMMON_NAMES | known
        )
        needed = [name for name in self.built_on if name in known]
        for number, worked in enumerate(self.worked_examples, 1):
            found = [f"given lacks {name}" for name in needed if name not in worked.given]
            found += [
                f"given has {name}, which is not in block"
                for name in worked.given
                if name not in self.built_on
            ]
            if self.family == "nli" and not worked.context:
                found.append("context (the premise) is missing")
            faults += [f"worked example {number}: {fault}" for fault in found]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def built_on(self) -> tuple[str, ...]:
        """Names of the earlier texts that a prompt is filled with."""
        names = Template(self.block).get_identifiers()
        return tuple(name for name in names if name not in COMMON_NAMES)

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the content, for manifests."""
        return sha256_json(self.model_dump(mode="json"))


def load_own_prompts(family: Family, path: Path, known: Sequence[str]) -> OwnPrompts:
    """Return the prompt content of a step of one's own.

    Args:
        family: Family of the questions to be asked.
        path: The prompt file; ``adjectives`` that it leaves out are the shipped ones.
        known: Names of the texts that the step may build on.

    Raises:
        ConfigError: When the file is of another family, or naming all its faults.
    """
    values = read_yaml(path)
    if isinstance(values, dict):
        values = {"adjectives": load_prompts(family).adjectives, **values}
    prompts = validate(OwnPrompts, values, str(path), REMEDY, {"known": known})
    if prompts.family != family:
        raise ConfigError(
            f"{path}: family is {prompts.family!r} but the task's is {family!r}.",
            "Name a prompt file of the task's family.",
        )
    return prompts
