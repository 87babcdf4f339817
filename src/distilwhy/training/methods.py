"""Methods: weighted sets of views, as data (paper, 'Student training'). A new method is a new line.

The weights come from the paper's formulas:

    multitask                = alpha * predict + (1 - alpha) * explain
    counterfactual           = factual + counterfactual
    multitask+counterfactual = gamma * multitask
                             + (1 - gamma) * [beta * factual + (1 - beta) * counterfactual]
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from distilwhy.config import Condition, Curriculum, MethodSettings
from distilwhy.errors import ConfigError
from distilwhy.registry import Registry
from distilwhy.students.views import find_view

Weights = Callable[[float, float, float], dict[str, float]]
"""From alpha, beta, gamma (each in [0, 1]) to the weight of each view."""

WEIGHTS = ("alpha", "beta", "gamma")
FORMS = ("counterfactual_form", "wrong_choices")
PLAIN_VIEWS = {"predict", "explain", "factual"}
"""Views that argue for no wrong choice; what a package's own views do is not known."""

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
        weights: Weight of each view's mean token loss; of weight 0 are only views that a curriculum
            trains for a time.
        points: Where weights change over a run, as share of its steps, and to what; in order, the
            first at 0. Without any, they are ``weights`` throughout.
        linear: Whether weights go evenly from one point to the next, rather than at once.
    """

    name: str
    weights: dict[str, float]
    points: tuple[tuple[float, dict[str, float]], ...] = ()
    linear: bool = False

    def weights_at(self, share: float) -> list[float]:
        """Return the weight of each view, in the order of ``weights``, at one place of a run.

        Args:
            share: Share of the run's steps that are done, in [0, 1).
        """
        if not self.points:
            return list(self.weights.values())
        place = bisect_right([at for at, _ in self.points], share)
        (start, before), after = self.points[place - 1], self.points[place : place + 1]
        if not self.linear or not after:
            return [before.get(view, 0.0) for view in self.weights]
        end, then = after[0]
        part = (share - start) / (end - start)
        return [
            (1 - part) * before.get(view, 0.0) + part * then.get(view, 0.0) for view in self.weights
        ]

    @property
    def answer_view(self) -> str:
        """The view whose tag asks for the answer: ``factual`` only where ``predict`` is missing."""
        learnt = {view for view, weight in self.weights.items() if weight > 0}
        return "factual" if "factual" in learnt and "predict" not in learnt else "predict"

    @property
    def rationale_view(self) -> str | None:
        """The view whose tag asks for the rationale; ``None`` when none was learnt."""
        if self.answer_view == "factual":
            return "factual"
        return next((view for view in ("explain", "factual") if view in self.weights), None)


def resolve_method(settings: MethodSettings) -> Method:
    """Return the method that settings name, or the one that their ``views`` spell out.

    Raises:
        ConfigError: When the method or a view is unknown, a weight is negative, or all are zero,
            or when a curriculum never trains a view of the method.
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
    if settings.curriculum is None:
        return Method(settings.method, kept)
    return _with_curriculum(settings.method, kept, settings.curriculum)


def check_condition(condition: Condition) -> None:
    """Refuse a condition that is wrong whatever the data and the model are.

    Raises:
        ConfigError: What :func:`resolve_method` raises; also when a weight or form is set that the
            method does not use, or when there is no explanation that a control could spoil.
    """
    method = resolve_method(condition)
    unused = [name for name in WEIGHTS if _is_set(condition, name) and not _uses(condition, name)]
    forms = [name for name in FORMS if _is_set(condition, name)]
    if forms and method.weights.keys() <= PLAIN_VIEWS:
        raise ConfigError(
            f"{condition.label!r}: {forms[0]} has no effect without the view counterfactual.",
            f"Leave {' and '.join(forms)} away, or take another method.",
        )
    if unused:
        by = "names its views' weights" if condition.views is not None else "does not use it"
        raise ConfigError(
            f"{condition.label!r}: {unused[0]} has no effect, as the method {by}.",
            f"Leave {' and '.join(unused)} away, or take another method.",
        )
    if condition.control and set(method.weights) == {"predict"}:
        raise ConfigError(
            f"{condition.label!r} learns no explanation that could be spoiled.",
            "Leave its control away, or take another method.",
        )


def _is_set(settings: MethodSettings, name: str) -> bool:
    # A resolved experiment file holds all defaults, which say nothing.
    return bool(getattr(settings, name) != type(settings).model_fields[name].default)


def _uses(settings: MethodSettings, name: str) -> bool:
    """Return whether a method's weights depend on alpha, beta or gamma at all."""
    if settings.views is not None:
        return False
    weights, others = METHODS.get(settings.method), dict.fromkeys(WEIGHTS, 0.5)
    low, high = (weights(*{**others, name: value}.values()) for value in (0.25, 0.75))
    return low != high


def _with_curriculum(name: str, weights: dict[str, float], curriculum: Curriculum) -> Method:
    """Return a method whose weights change over a run."""
    points = tuple(
        (point.at, weights if point.views is None else point.views) for point in curriculum.points
    )
    trained = {view for _, at_point in points for view, weight in at_point.items() if weight > 0}
    if missing := [view for view in weights if view not in trained]:
        raise ConfigError(
            f"The curriculum of {name!r} never trains its view {missing[0]!r}.",
            "Give that view a weight at some point, or none in the method.",
        )
    for_a_time = {view: 0.0 for _, at_point in points for view in at_point if view in trained}
    for view in for_a_time:
        find_view(view)
    # The method's own views stand first, as without a curriculum.
    every = weights | {**for_a_time, **weights}
    return Method(name, every, points, curriculum.change == "linear")
