"""What transformers calls the cache of keys and values: the name changed with its version 5.24."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from transformers.modeling_outputs import CausalLMOutputWithPast

_KNOWN = {field.name for field in fields(CausalLMOutputWithPast)}
CACHE_NAME = "cache" if "cache" in _KNOWN else "past_key_values"


def with_cache(cache: Any) -> dict[str, Any]:
    """Return the argument that gives a model its cache.

    Args:
        cache: A transformers cache, or ``None`` to begin one.
    """
    return {CACHE_NAME: cache}


def cache_of(output: Any) -> Any:
    """Return the cache in a model's output."""
    return getattr(output, CACHE_NAME)
