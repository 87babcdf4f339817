"""The experiment file and all settings: typed, every field documented."""

from __future__ import annotations

from distilwhy.config.backend import BackendSettings, RaySettings
from distilwhy.config.base import Precision, Settings, read_yaml, to_yaml, validate
from distilwhy.config.curriculum import Curriculum, CurriculumPoint
from distilwhy.config.experiment import (
    Experiment,
    Limits,
    PredictionSettings,
    load_experiment,
)
from distilwhy.config.judge import CONSTRUCTS, ORDERS, Construct, JudgeSettings
from distilwhy.config.measures import MeasureSettings
from distilwhy.config.money import Budget, Prices
from distilwhy.config.size import LayerSettings, LoraSettings
from distilwhy.config.soft import SoftLoss, SoftSettings
from distilwhy.config.teacher import (
    Contrast,
    ModelSettings,
    OwnStep,
    TeacherSettings,
    TeachingSettings,
)
from distilwhy.config.training import (
    LARGEST_SEED,
    NO_WEIGHT_CHANGES,
    Condition,
    MethodSettings,
    StudentSettings,
    TrainingSettings,
)

__all__ = [
    "CONSTRUCTS",
    "LARGEST_SEED",
    "NO_WEIGHT_CHANGES",
    "ORDERS",
    "BackendSettings",
    "Budget",
    "Condition",
    "Construct",
    "Contrast",
    "Curriculum",
    "CurriculumPoint",
    "Experiment",
    "JudgeSettings",
    "LayerSettings",
    "Limits",
    "LoraSettings",
    "MeasureSettings",
    "MethodSettings",
    "ModelSettings",
    "OwnStep",
    "Precision",
    "PredictionSettings",
    "Prices",
    "RaySettings",
    "Settings",
    "SoftLoss",
    "SoftSettings",
    "StudentSettings",
    "TeacherSettings",
    "TeachingSettings",
    "TrainingSettings",
    "load_experiment",
    "read_yaml",
    "to_yaml",
    "validate",
]
