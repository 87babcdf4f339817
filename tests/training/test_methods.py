"""Methods as weights, against the paper's formulas written out."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.config import Condition, MethodSettings
from distilwhy.errors import ConfigError
from distilwhy.training.methods import METHODS, Method, check_condition, resolve_method


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("answer_only", {"predict": 1}),
        ("rationale_then_answer", {"factual": 1}),
        ("multitask", {"predict": 0.2, "explain": 0.8}),
        ("counterfactual", {"factual": 1, "counterfactual": 1}),
        (
            "multitask+counterfactual",
            {"predict": 0.14, "explain": 0.56, "factual": 0.27, "counterfactual": 0.03},
        ),
    ],
)
def test_weights_of_the_paper(name: str, expected: dict[str, float]) -> None:
    method = resolve_method(MethodSettings(method=name, alpha=0.2, beta=0.9, gamma=0.7))
    assert method.weights == pytest.approx(expected)
    assert set(METHODS) == {
        "answer_only",
        "rationale_then_answer",
        "multitask",
        "counterfactual",
        "multitask+counterfactual",
    }


def test_views_of_weight_0_are_left_out() -> None:
    assert resolve_method(MethodSettings(method="multitask", alpha=1)).weights == {"predict": 1}
    settings = MethodSettings(method="multitask+counterfactual", gamma=0)
    assert set(resolve_method(settings).weights) == {"factual", "counterfactual"}


@pytest.mark.parametrize(
    ("views", "answer", "rationale"),
    [
        (("predict", "explain"), "predict", "explain"),
        (("predict",), "predict", None),
        (("factual", "counterfactual"), "factual", "factual"),
        (("predict", "factual"), "predict", "factual"),
        (("predict", "explain", "factual", "counterfactual"), "predict", "explain"),
    ],
)
def test_which_tags_are_asked(views: tuple[str, ...], answer: str, rationale: str | None) -> None:
    method = Method("any", dict.fromkeys(views, 1.0))
    assert (method.answer_view, method.rationale_view) == (answer, rationale)


def test_faulty_methods_are_refused() -> None:
    with pytest.raises(ConfigError, match="no method named 'multitusk'") as caught:
        resolve_method(MethodSettings(method="multitusk"))
    assert "Did you mean 'multitask'?" in caught.value.remedy
    with pytest.raises(ConfigError, match="no view named 'explian'"):
        resolve_method(MethodSettings(views={"explian": 1.0}))
    for views in ({"predict": 0.0}, {"predict": 1.0, "explain": -0.5}, {}, {"predict": 1e308}):
        with pytest.raises(ValueError, match="weights must be from 0 to 1,000,000, and not all 0"):
            MethodSettings(method="mine", views=views)
    zero = MethodSettings.model_construct(method="mine", views={"predict": 0.0}, curriculum=None)
    with pytest.raises(ConfigError, match="weights of 0 or more, not all 0"):
        resolve_method(zero)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"method": "answer_only", "alpha": 0.2, "beta": 0.1}, "alpha has no effect"),
        ({"method": "multitask", "gamma": 1}, "gamma has no effect"),
        ({"method": "counterfactual", "beta": 0.4}, "beta has no effect"),
        ({"alpha": 0.9, "views": {"predict": 1}}, "as the method names its views' weights"),
        ({"wrong_choices": "all"}, "wrong_choices has no effect without the view counterfactual"),
        ({"method": "answer_only", "control": "empty"}, "no explanation that could be spoiled"),
    ],
)
def test_settings_without_effect_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_condition(Condition.model_validate(fields))


def test_settings_with_effect_and_resolved_ones_are_not() -> None:
    for name in METHODS:
        # As a resolved experiment file holds it, every default named.
        check_condition(Condition.model_validate(Condition(method=name).model_dump()))
    every = {"alpha": 0.1, "beta": 0.2, "gamma": 0.3}
    check_condition(Condition(method="multitask+counterfactual", **every))
    check_condition(Condition(method="multitask", alpha=1))
    check_condition(Condition(method="counterfactual", counterfactual_form="decoder"))
