"""The judge, and how it is asked."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from distilwhy.config.teacher import ModelSettings

Construct = Literal[
    "plausibility", "understandability", "completeness", "satisfaction", "contrastiveness"
]
"""What is judged: the constructs of the human study, in the paper's order."""

CONSTRUCTS: tuple[Construct, ...] = get_args(Construct)
ORDERS = 2


class JudgeSettings(ModelSettings):
    """The model that judges, and how it is asked."""

    constructs: tuple[Construct, ...] = Field(
        CONSTRUCTS, min_length=1, description="What is judged, one call each."
    )
    samples: int = Field(
        2,
        ge=2,
        multiple_of=ORDERS,
        description="Calls for each construct of an explanation, half of them in each order; more "
        "than 2 need a temperature.",
    )
    temperature: float = Field(
        0.0, ge=0, le=2, description="Temperature of sampling; 0 decodes greedily."
    )
    max_new_tokens: int = Field(
        8, ge=1, description="Token limit of one verdict; more for a judge that thinks first."
    )
    chat: bool = Field(False, description="Use the model's chat template.")

    @model_validator(mode="after")
    def _check_samples(self) -> JudgeSettings:
        if self.samples > ORDERS and self.temperature == 0:
            raise ValueError(f"samples above {ORDERS} need a temperature above 0")
        if len(set(self.constructs)) < len(self.constructs):
            raise ValueError("constructs: one stands there twice")
        return self
