"""What a teacher may cost: prices and the budget."""

from __future__ import annotations

from pydantic import Field

from distilwhy.config.base import Settings

MILLION = 1_000_000


class Budget(Settings):
    """What the teacher's texts may cost in all, over all runs that share a store."""

    usd: float | None = Field(None, gt=0, description="Money, in US dollars; needs prices.")
    tokens: int | None = Field(None, ge=1, description="Tokens, of prompts and texts together.")
    hours: float | None = Field(None, gt=0, description="Time in which the teacher is asked.")


class Prices(Settings):
    """What a million tokens cost, in US dollars."""

    prompt: float = Field(ge=0, description="A million tokens of prompts.")
    completion: float = Field(ge=0, description="A million tokens of texts.")
    cached_prompt: float | None = Field(
        None, ge=0, description="A million prompt tokens that the server had cached; as prompt."
    )

    def usd(self, prompt: int, completion: int, cached: int = 0) -> float:
        """Return what tokens cost, in US dollars.

        Args:
            prompt: Tokens of prompts, cached ones included.
            completion: Tokens of texts.
            cached: Of the prompts' tokens, those that the server says it had cached.
        """
        saved = 0.0 if self.cached_prompt is None else self.prompt - self.cached_prompt
        whole = self.prompt * prompt + self.completion * completion - saved * cached
        return whole / MILLION
