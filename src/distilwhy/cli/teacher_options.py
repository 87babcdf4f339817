"""Options on how the teacher is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from distilwhy.config import ModelSettings

Shots = Annotated[int | None, typer.Option(help="Worked examples a prompt, 1 to 7.")]
Steps = Annotated[
    str | None, typer.Option(help="Steps, e.g. rationale,critique,revision,counterfactual.")
]
Counterfactuals = Annotated[
    str | None, typer.Option(help="Argue for all wrong choices, or for one.")
]
AdjectivePairs = Annotated[str | None, typer.Option(help="Pairs of adjectives drawn from, or all.")]
Labels = Annotated[
    str | None, typer.Option(help="Whose answers are explained: gold, or the teacher's own.")
]
RationalesFrom = Annotated[
    str | None,
    typer.Option(help="Explain the label, or keep reasons of its own_answer that lead to it."),
]
CritiqueRounds = Annotated[
    int | None, typer.Option(help="Rounds of critique and revision at most.")
]
Samples = Annotated[int | None, typer.Option(help="Texts drawn for each one wanted.")]
Selection = Annotated[
    str | None, typer.Option(help="Choose among samples by gates, likelihood or agreement.")
]
Temperature = Annotated[
    float | None, typer.Option(help="Temperature of sampling; 0 decodes greedily.")
]
ContrastWeight = Annotated[
    float | None, typer.Option(help="Contrastive decoding with this weight, e.g. 0.5.")
]
ContrastAgainst = Annotated[
    str | None, typer.Option(help="Contrast with a wrong choice, or with an empty answer.")
]
MaxNewTokens = Annotated[int | None, typer.Option(help="Token limit of one text.")]
BatchSize = Annotated[int | None, typer.Option(help="Prompts at once, of a local model.")]
Precision = Annotated[str | None, typer.Option(help="Local model: auto, fp32 or bf16.")]
Concurrency = Annotated[int | None, typer.Option(help="Requests at once, to a server.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds that a request may take.")]
ApiKeyFile = Annotated[str | None, typer.Option(help="File with the server's key.")]
Engine = Annotated[
    str | None, typer.Option(help="Ask from this process (local) or from workers on Ray (ray).")
]
RayWorkers = Annotated[int | None, typer.Option(help="Engine ray: number of workers.")]
RayCpus = Annotated[float | None, typer.Option(help="Engine ray: processors of each worker.")]
RayGpus = Annotated[float | None, typer.Option(help="Engine ray: GPUs of each worker.")]
RayAddress = Annotated[
    str | None, typer.Option(help="Engine ray: a running cluster, e.g. auto or HOST:6379.")
]
Chat = Annotated[bool, typer.Option(help="Use the model's chat template.")]
Prompts = Annotated[str | None, typer.Option(help="A prompt file of your own.")]
BudgetUsd = Annotated[
    float | None, typer.Option(help="Most US dollars that the texts may cost; needs prices.")
]
BudgetTokens = Annotated[int | None, typer.Option(help="Most tokens, of prompts and texts.")]
BudgetHours = Annotated[float | None, typer.Option(help="Most hours of asking the teacher.")]
PricePrompt = Annotated[float | None, typer.Option(help="US dollars a million prompt tokens.")]
PriceCompletion = Annotated[
    float | None, typer.Option(help="US dollars a million tokens of texts.")
]
PriceCachedPrompt = Annotated[
    float | None,
    typer.Option(help="US dollars a million prompt tokens that the server had cached."),
]

GROUPS = {"budget_": "budget", "price_": "prices", "contrast_": "contrast", "ray_": "ray"}
"""Fronts of options, and the field that holds what they set."""


def teacher_values(given: Mapping[str, Any], kind: type[ModelSettings]) -> dict[str, Any]:
    """Return the teacher's settings among a command's options; those not given are left out.

    Args:
        given: The command's options by name; those of settings are called as their fields.
        kind: The settings class.
    """
    there = {name: value for name, value in given.items() if value is not None}
    values = {name: value for name, value in there.items() if name in kind.model_fields}
    if "steps" in values:
        values["steps"] = [step.strip() for step in values["steps"].split(",")]
    for front, field in GROUPS.items():
        group = {n.removeprefix(front): v for n, v in there.items() if n.startswith(front)}
        if group:
            values[field] = group
    return values
