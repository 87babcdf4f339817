"""How the judge's settings are carried out."""

from __future__ import annotations

from distilwhy.config import LARGEST_SEED, JudgeSettings, ModelSettings, TeacherSettings
from distilwhy.draws import stable_number
from distilwhy.generators.base import Decoding


def decoding_of(settings: JudgeSettings, sample: int, seed: int) -> Decoding:
    """Return how the verdicts of a sample are decoded; each has a seed of its own.

    Args:
        settings: The judge's settings.
        sample: Number of the sample, from 0.
        seed: Seed of all draws.
    """
    drawn = stable_number(seed, "judge", sample) % LARGEST_SEED if settings.temperature else 0
    return Decoding(
        max_new_tokens=settings.max_new_tokens,
        stop=() if settings.chat else ("\n",),
        temperature=settings.temperature,
        seed=drawn,
        chat=settings.chat,
    )


def as_teacher(settings: JudgeSettings) -> TeacherSettings:
    """Return a judge's settings as those of a teacher, by which costs are forecast."""
    shared = ModelSettings.model_fields.keys() | {"temperature", "max_new_tokens", "chat"}
    return TeacherSettings(
        **{name: getattr(settings, name) for name in shared},
        labels="teacher",  # right answers are not looked at
    )
