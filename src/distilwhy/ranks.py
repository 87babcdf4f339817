"""Which of several processes this is, where torchrun or accelerate started them together."""

from __future__ import annotations

import os


def world_size() -> int:
    """Return how many processes work together; 1 where none were started together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def rank() -> int:
    """Return this process's number among them, from 0; 0 writes all files."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def tells() -> bool:
    """Return whether this process tells the user of errors: the first one of its machine."""
    return world_size() == 1 or int(os.environ["LOCAL_RANK"]) == 0
