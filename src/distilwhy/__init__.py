"""distilwhy: shrink a language model and keep its reasons."""

from __future__ import annotations

__version__ = "0.1.0"
