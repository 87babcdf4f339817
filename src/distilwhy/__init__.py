"""distilwhy: shrink a language model and keep its reasons.

The verbs are here: :func:`grow`, :func:`generate`, :func:`train`, :func:`predict`,
:func:`evaluate`, :func:`measure_all`, :func:`prefer_all`, :func:`compare`, :func:`analyse` and
:func:`run`. They load what they need when they are called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from distilwhy.comparison.compare import compare
    from distilwhy.human_study.analyse import analyse
    from distilwhy.pipeline.experiment import run
    from distilwhy.pipeline.grow import grow
    from distilwhy.pipeline.judging import prefer_all
    from distilwhy.pipeline.measuring import measure_all
    from distilwhy.pipeline.stages import evaluate, generate, predict, train

__all__ = [
    "__version__",
    "analyse",
    "compare",
    "evaluate",
    "generate",
    "grow",
    "measure_all",
    "predict",
    "prefer_all",
    "run",
    "train",
]

_HOMES = {
    "grow": "distilwhy.pipeline.grow",
    "generate": "distilwhy.pipeline.stages",
    "train": "distilwhy.pipeline.stages",
    "predict": "distilwhy.pipeline.stages",
    "evaluate": "distilwhy.pipeline.stages",
    "measure_all": "distilwhy.pipeline.measuring",
    "prefer_all": "distilwhy.pipeline.judging",
    "compare": "distilwhy.comparison.compare",
    "analyse": "distilwhy.human_study.analyse",
    "run": "distilwhy.pipeline.experiment",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'distilwhy' has no attribute {name!r}")
