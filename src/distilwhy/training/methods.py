"""Methods: weighted sets of views, as data (paper, 'Student training'). A new method is a new line.

The weights come from the paper's formulas:

    multitask                = alpha * predict + (1 - alpha) * explain
    counterfactual           = factual + counterfactual
    multitask+counterfactual = gamma * multitask
                             + (1 - gamma) * [beta * factual + (1 - beta) * counterfactual]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distilwhy.config import MethodSettings
from distilwhy.errors import ConfigError
from distilwhy.registry import Registry
from distilwhy.students.views import find_view

Weights = Callable[[float, float, float], dict[str, float]]
"""From alpha, beta, gamma (each in [0, 1]) to the weight of each view."""

METHODS: Registry[Weights] = Registry("method")

METHODS.add("answer_only", lambda a, b, g: {"predict": 1.0})
METHODS.add("rationale_then_answer", lambda a, b, g: {"factual": 1.0})
METHODS.add("multitask", lambda a, b, g: {"predict": a, "explain": 1 - a})
METHODS.add("counterfactual", lambda a, b, g: {"factual": 1.0, "counterfactual": 1.0})
METHODS.add(
    "multitask+counterfactual",
    lambda a, b, g: {
        "predict": g * a,
        "explain": g * (1 - a),
        "factual": (1 - g) * b,
        "counterfactual": (1 - g) * (1 - b),
    },
)


@dataclass(frozen=True)
class Method:
    """A method with its weights filled in.

    Args:
        name: Its name.
        weights: Weight of each view's mean token loss; views of weight 0 are left out.
    """

    name: str
    weights: dict[str, float]

    @property
    def answer_view(self) -> str:
        """The view whose tag asks for the answer: ``factual`` only where ``predict`` is missing."""
        return (
            "factual" if "factual" in self.weights and "predict" not in self.weights else "predict"
        )

    @property
    def rationale_view(self) -> str | None:
        """The view whose tag asks for the rationale; ``None`` when none was learnt."""
        if self.answer_view == "factual":
            return "factual"
        return next((view for view in ("explain", "factual") if view in self.weights), None)


def resolve_method(settings: MethodSettings) -> Method:
    """Return the method that settings name, or the one that their ``views`` spell out.

    Raises:
        ConfigError: When the method or a view is unknown, a weight is negative, or all are zero.
    """
    if settings.views is not None:
        weights = settings.views
        for view in weights:
            find_view(view)
    else:
        weights = METHODS.get(settings.method)(settings.alpha, settings.beta, settings.gamma)
    kept = {view: float(weight) for view, weight in weights.items() if weight > 0}
    if not kept or any(weight < 0 for weight in weights.values()):
        raise ConfigError(
            f"Method {settings.method!r} needs weights of 0 or more, not all 0.",
            "Mend its alpha, beta, gamma or views.",
        )
    return Method(settings.method, kept)
