"""How the teacher is asked."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from distilwhy.config.backend import BackendSettings
from distilwhy.config.base import KEY_REMEDY, Settings
from distilwhy.config.money import Budget, Prices

RESERVED = ("rationale", "critique", "revision", "counterfactual", "answer", "question")
"""Names that a step of one's own cannot have."""


class OwnStep(Settings):
    """A step of one's own (docs/teaching.md)."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Its name, under which annotations hold its texts; later steps' prompts may "
        "use them as $name.",
    )
    prompts: str = Field(min_length=1, description="Its prompt file.")

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if value in (*RESERVED, "first", "second"):
            raise ValueError(f"{value!r} is taken; choose another name")
        return value


class Contrast(Settings):
    """Contrastive decoding: words that a wrong answer would bring too count less."""

    weight: float = Field(
        0.5,
        gt=0,
        le=2,
        description="Weight of the contrast; 1/2 is SCOTT's own (Wang et al. 2023).",
    )
    against: Literal["wrong", "empty"] = Field(
        "wrong", description="Contrast with another choice, drawn by seed, or with no answer."
    )


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
    labels: Literal["gold", "teacher"] = Field(
        "gold", description="Which answers are explained and learnt: gold, or the teacher's own."
    )
    rationales_from: Literal["label", "own_answer"] = Field(
        "label",
        description="Tell the teacher the answer to explain, or let it answer and keep only "
        "rationales that lead to that answer (rejection sampling).",
    )
    rejected: Literal["drop", "label"] = Field(
        "drop",
        description="Where no own rationale is kept: leave the question without one, or ask again "
        "with the answer given.",
    )
    critique_rounds: int = Field(
        1,
        ge=1,
        le=7,
        description="Rounds of critique and revision; fewer where nothing is left to mend.",
    )
    samples: int = Field(
        1, ge=1, description="Texts written for each one wanted; several need a temperature."
    )
    selection: Literal["gates", "likelihood", "agreement"] = Field(
        "gates",
        description="Of several samples, keep the one that fails the fewest gates, the one that "
        "the teacher finds likeliest, or one whose own answer is the majority's.",
    )
    temperature: float = Field(
        0.0, ge=0, le=2, description="Temperature of sampling; 0 decodes greedily."
    )
    contrast: Contrast | None = Field(
        None,
        description="Decode rationales and counterfactual rationales contrastively; local teachers "
        "only.",
    )
    max_new_tokens: int = Field(96, ge=1, description="Token limit of one text.")
    own_steps: tuple[OwnStep, ...] = Field(
        (), description="Steps of your own, taken in this order after all others."
    )
    chat: bool = Field(False, description="Use the model's chat template.")
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
    def _check_whole(self) -> TeachingSettings:
        faults = [
            f"step {step!r} needs step {needed!r}"
            for step, needed in (("revision", "critique"), ("critique", "rationale"))
            if step in self.steps and needed not in self.steps
        ]
        faults += self._method_faults()
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _method_faults(self) -> list[str]:
        """Return which settings of methods lack what they need."""
        own = self.rationales_from == "own_answer"
        names = [step.name for step in self.own_steps]
        needs = {
            "critique_rounds above 1 need step 'revision'": self.critique_rounds > 1
            and "revision" not in self.steps,
            "samples above 1 need a temperature above 0": self.samples > 1
            and self.temperature == 0,
            "rationales_from 'own_answer' needs step 'rationale'": own
            and "rationale" not in self.steps,
            "contrast needs step 'counterfactual', or rationales of the labels": self.contrast
            is not None
            and "counterfactual" not in self.steps
            and ("rationale" not in self.steps or (own and self.rejected == "drop")),
            "selection 'agreement' needs rationales_from 'own_answer'": not own
            and self.selection == "agreement",
            "own_steps: two have the same name": len(set(names)) < len(names),
        }
        return [fault for fault, there in needs.items() if there]


class ModelSettings(BackendSettings):
    """A model that is asked, and how it is run or reached."""

    model: str = Field(
        description="Model string, e.g. embedded, hf:NAME, openai:NAME, http://HOST/v1#NAME."
    )
    prices: Prices | None = Field(None, description="What its tokens cost, to count the money.")
    budget: Budget = Field(Budget(), description="What its texts may cost; unset means any.")

    @field_validator("model")
    @classmethod
    def _check_address(cls, value: str) -> str:
        # It is kept in manifests and shown in reports.
        if re.match(r"[^/#]*//[^/#]*@", value):
            raise ValueError(f"must not hold a user name or a password; {KEY_REMEDY}")
        return value

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if self.budget.usd is not None and self.prices is None:
            raise ValueError(
                "budget.usd needs prices, e.g. prices: {prompt: 0.15, completion: 0.6}"
            )
        return self


class TeacherSettings(TeachingSettings, ModelSettings):
    """The teacher and how it is asked."""
