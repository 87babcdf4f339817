"""Settings of the backends: how a model is run on this machine, or reached on a server."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from distilwhy.config.base import KEY_REMEDY, Precision, Settings

KEY = re.compile(r"(sk|gsk|hf|key|xai|nvapi)[-_]\w", re.IGNORECASE)  # how servers' keys begin


class RaySettings(Settings):
    """Where the workers of ``engine: ray`` run (docs/scale.md); each runs one cell at a time, where
    these are an experiment's."""

    workers: int = Field(
        2, ge=1, description="Workers; each holds a model of its own, or asks the server."
    )
    cpus: float = Field(1, ge=0, description="Processors that each worker has to itself.")
    gpus: float = Field(0, ge=0, description="GPUs that each worker has to itself.")
    address: str | None = Field(
        None,
        min_length=1,
        description="A running Ray cluster, e.g. auto or HOST:6379; else that of RAY_ADDRESS, "
        "else this machine.",
    )


class BackendSettings(Settings):
    """How a model is run or reached; apart from the precision, nothing here changes a text."""

    batch_size: int = Field(
        256,
        ge=1,
        description="Texts that a local model writes together, at most: as many as make it faster, "
        "and as memory allows.",
    )
    precision: Precision = Field(
        "auto", description="Of a local model's weights: bf16 where the machine does it well."
    )
    concurrency: int = Field(
        32,
        ge=1,
        le=1000,
        description="Requests that a server gets at once; fewer while it refuses some.",
    )
    timeout: float = Field(600.0, gt=0, description="Seconds that one request may take.")
    api_key_file: str | None = Field(
        None,
        description="File that holds the server's key; else the environment (docs/teachers.md).",
    )

    engine: Literal["local", "ray"] = Field(
        "local", description="Ask from this process, or from workers on the machines of Ray."
    )
    ray: RaySettings = Field(RaySettings(), description="Workers of engine ray.")

    @field_validator("api_key_file")
    @classmethod
    def _check_file(cls, value: str | None) -> str | None:
        if value is not None and KEY.match(value):
            raise ValueError(f"must name a file, not be the key itself; {KEY_REMEDY}")
        return value
