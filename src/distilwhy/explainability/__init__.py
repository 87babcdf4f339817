"""How good and how faithful explanations are; each file of a measure holds that measure."""

from __future__ import annotations

# Each registers its measure.
from distilwhy.explainability import calibration as calibration
from distilwhy.explainability import consistency as consistency
from distilwhy.explainability import edits as edits
from distilwhy.explainability import following as following
from distilwhy.explainability import hint as hint
from distilwhy.explainability import judge as judge
from distilwhy.explainability import overlap as overlap
from distilwhy.explainability import perturbation as perturbation
from distilwhy.explainability import robustness as robustness
from distilwhy.explainability import simulatability as simulatability
from distilwhy.explainability import surface as surface
from distilwhy.explainability import tags as tags
from distilwhy.explainability.measures import (
    MEASURES,
    Figure,
    ItemScores,
    MeasureResult,
    measure,
    reads_question,
)
from distilwhy.explainability.subject import Subject, alternatives, check_given

__all__ = [
    "MEASURES",
    "Figure",
    "ItemScores",
    "MeasureResult",
    "Subject",
    "alternatives",
    "check_given",
    "measure",
    "reads_question",
]
