"""Draws by a hash of what they are for: the same everywhere, in whatever order they are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def stable_number(*parts: str | int) -> int:
    """Return a number that depends on the parts only, equal in every process and version.

    Args:
        parts: What it is drawn for, e.g. the experiment's seed, an example's id, a step.

    Returns:
        An integer in [0, 2**256).
    """
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest(), "big")


def draw(options: Sequence[T], *parts: str | int) -> T:
    """Return one of the options, each equally likely, drawn by :func:`stable_number`.

    Raises:
        ValueError: When there are no options.
    """
    if not options:
        raise ValueError("nothing to draw from")
    return options[stable_number(*parts) % len(options)]
