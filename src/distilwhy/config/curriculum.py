"""Curricula: weights of views that change over a run."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distilwhy.config.base import Settings

LARGEST_WEIGHT = 1e6
"""Sums of larger ones leave the range of numbers, or all others without effect."""


def check_weights(weights: Mapping[str, float] | None, what: str = "weights") -> None:
    """Refuse weights, or shares, by which nothing could be shared out.

    Raises:
        ValueError: When one is negative or too large, or all are 0.
    """
    if weights is None:
        return
    if not (min(weights.values(), default=-1) >= 0 < max(weights.values()) <= LARGEST_WEIGHT):
        raise ValueError(f"{what} must be from 0 to {LARGEST_WEIGHT:,.0f}, and not all 0")


class CurriculumPoint(Settings):
    """Weights of views at one place of a run."""

    at: float = Field(
        ge=0, le=1, description="Share of the run's steps that are done when it is reached."
    )
    views: dict[str, float] | None = Field(
        None, description="Weight of each view there, others 0; the method's own when unset."
    )

    @field_validator("views")
    @classmethod
    def _check_weights(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        check_weights(value)
        return value


class Curriculum(Settings):
    """Weights of views over a run; the short form is the list of points alone.

    The method's own weights say what the student is to be good at in the end: by them, at every
    point of the run, the held-out loss is taken that chooses the checkpoint.
    """

    points: tuple[CurriculumPoint, ...] = Field(
        min_length=1, description="From `at: 0` on, in order."
    )
    change: Literal["step", "linear"] = Field(
        "step", description="Keep a point's weights until the next, or go from one to the other."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"points": value} if isinstance(value, list | tuple) else value

    @field_validator("points")
    @classmethod
    def _check_order(cls, value: tuple[CurriculumPoint, ...]) -> tuple[CurriculumPoint, ...]:
        places = [point.at for point in value]
        if places[0] != 0 or any(low >= high for low, high in pairwise(places)):
            raise ValueError("the first point must be at 0, and each later than the one before")
        return value
