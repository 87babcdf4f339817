"""What makes a student smaller than its base model, or cheaper to train."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal, cast

from pydantic import Field, ValidationInfo, field_validator

from distilwhy.config.base import Settings

KeptLayers = Literal["all", "every_second"] | tuple[int, ...]
"""Layers kept: ``all``, ``every_second`` (0, 2, 4, ...), or their numbers from 0."""


class LayerSettings(Settings):
    """Which layers a student takes from its base model; embeddings and head stay whole.

    The short form ``layers: every_second`` or ``layers: [0, 2]`` sets ``keep`` alone.
    """

    keep: KeptLayers = Field(
        "every_second",
        description="Layers kept (of the decoder, where there is an encoder too): all, "
        "every_second (0, 2, 4 and so on), or their numbers from 0.",
    )
    encoder: KeptLayers | None = Field(
        None, description="Layers of an encoder that are kept; as keep when unset."
    )

    @field_validator("keep", "encoder", mode="before")
    @classmethod
    def _check_places(cls, value: Any, info: ValidationInfo) -> KeptLayers | None:
        if value in ("all", "every_second") or (value is None and info.field_name == "encoder"):
            return cast(KeptLayers | None, value)
        listed = isinstance(value, list | tuple)
        if not listed or not all(re.fullmatch(r"-?\d+", str(place)) for place in value):
            raise ValueError("give all, every_second, or the numbers of layers, as in 0, 2, 4")
        places = tuple(int(place) for place in value)
        if not _ascend(places):
            raise ValueError("give one layer or more, from 0 on, each once and in order")
        return places

    @property
    def label(self) -> str:
        """How it is told in a student's name."""
        keeps = [self.keep] if self.encoder is None else [self.encoder, self.keep]
        told = ("+".join(map(str, keep)) if isinstance(keep, tuple) else keep for keep in keeps)
        return f"layers {'/'.join(told)}".replace("every_second", "every second")


class LoraSettings(Settings):
    """Low-rank adaptation by peft (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1, description="Rank of the update matrices.")
    scale: int = Field(32, gt=0, description="peft's lora_alpha.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the update's input.")
    targets: str | tuple[str, ...] = Field("all-linear", description="Layers adapted, by name.")
    bits: Literal[4] | None = Field(
        None,
        description="Hold the base model's weights in 4 bits while adapters are trained "
        "(QLoRA); needs the extra qlora.",
    )


def _ascend(places: tuple[int, ...]) -> bool:
    rising = all(low < high for low, high in pairwise(places))
    return bool(places) and places[0] >= 0 and rising
