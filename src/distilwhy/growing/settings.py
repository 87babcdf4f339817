"""How a task is grown: how many questions, how they are asked for, and which are kept."""

from __future__ import annotations

from pydantic import Field

from distilwhy.config import ModelSettings

REQUESTS_FOR_EACH = 10


class GrowingSettings(ModelSettings):
    """The teacher that writes new questions, and what is asked of them."""

    n: int = Field(100, ge=1, description="Training examples wanted.")
    validation: int = Field(0, ge=0, description="Validation examples wanted besides.")
    test: int = Field(
        0, ge=0, description="Test examples wanted besides, where no task gives them."
    )
    requests: int | None = Field(
        None, ge=1, description="Questions asked for at most; 10 for each wanted one when unset."
    )
    shots: int = Field(8, ge=1, description="Seed examples in each prompt.")
    draws: int = Field(
        8, ge=1, description="Draws of seed examples; few keep prompt prefixes equal."
    )
    temperature: float = Field(0.7, gt=0, description="Temperature of written questions.")
    max_new_tokens: int = Field(160, ge=8, description="Token limit of one written question.")
    samples: int = Field(5, ge=1, description="Times that the teacher answers each question.")
    agreement: float = Field(
        0.6, gt=0, le=1, description="Share of these answers that must be the one proposed."
    )
    answer_temperature: float = Field(0.7, gt=0, description="Temperature of these answers.")
    similarity: float = Field(
        0.65, gt=0, le=1, description="Questions at least so similar are near-duplicates."
    )
    chat: bool = Field(False, description="Use the model's chat template.")

    @property
    def wanted(self) -> int:
        """All examples wanted."""
        return self.n + self.validation + self.test

    @property
    def most_requests(self) -> int:
        """Questions asked for at most."""
        return self.requests or REQUESTS_FOR_EACH * self.wanted
