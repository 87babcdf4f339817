"""``distilwhy generate``: a teacher annotates a task's examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilwhy.cli.shared import (
    Json,
    Limit,
    Seed,
    Source,
    TaskName,
    set_options,
    settings_of,
    show,
    task_of,
)

BudgetUsd = Annotated[
    float | None, typer.Option(help="Most US dollars that the texts may cost; needs prices.")
]
BudgetTokens = Annotated[int | None, typer.Option(help="Most tokens, of prompts and texts.")]
BudgetHours = Annotated[float | None, typer.Option(help="Most hours of asking the teacher.")]
PricePrompt = Annotated[float | None, typer.Option(help="US dollars a million prompt tokens.")]
PriceCompletion = Annotated[
    float | None, typer.Option(help="US dollars a million tokens of texts.")
]


def generate(
    task: TaskName,
    teacher: Annotated[str, typer.Option(help="Teacher, e.g. embedded, hf:NAME, openai:NAME.")],
    out: Annotated[Path, typer.Option(help="Annotations file to write.")],
    source: Source = None,
    split: Annotated[str, typer.Option(help="Split: train, validation or test.")] = "train",
    limit: Limit = None,
    shots: Annotated[int | None, typer.Option(help="Worked examples a prompt, 1 to 7.")] = None,
    steps: Annotated[
        str | None, typer.Option(help="Steps, e.g. rationale,critique,revision,counterfactual.")
    ] = None,
    counterfactuals: Annotated[
        str | None, typer.Option(help="Argue for all wrong choices, or for one.")
    ] = None,
    adjective_pairs: Annotated[
        str | None, typer.Option(help="Pairs of adjectives drawn from, or all.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Whose answers are explained: gold, or the teacher's own.")
    ] = None,
    rationales_from: Annotated[
        str | None,
        typer.Option(help="Explain the label, or keep own_answer reasons that lead to it."),
    ] = None,
    critique_rounds: Annotated[
        int | None, typer.Option(help="Rounds of critique and revision at most.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Texts drawn for each one wanted.")] = None,
    selection: Annotated[
        str | None, typer.Option(help="Choose among samples by gates, likelihood or agreement.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Temperature of sampling; 0 decodes greedily.")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Token limit of one text.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Prompts at once, of a local model.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Local model: auto, fp32 or bf16.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests at once, to a server.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a request may take.")] = None,
    api_key_file: Annotated[str | None, typer.Option(help="File with the server's key.")] = None,
    chat: Annotated[bool, typer.Option(help="Use the model's chat template.")] = False,
    prompts: Annotated[str | None, typer.Option(help="A prompt file of your own.")] = None,
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    budget_hours: BudgetHours = None,
    price_prompt: PricePrompt = None,
    price_completion: PriceCompletion = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Have a teacher explain, critique, revise and argue for wrong choices; resumable."""
    from distilwhy.config import TeacherSettings
    from distilwhy.pipeline import beside, stages
    from distilwhy.tasks.base import checked_split
    from distilwhy.teaching.gates import count_flags

    chosen = set_options(
        shots=shots,
        steps=None if steps is None else [step.strip() for step in steps.split(",")],
        counterfactuals=counterfactuals,
        adjective_pairs=adjective_pairs,
        labels=labels,
        rationales_from=rationales_from,
        critique_rounds=critique_rounds,
        samples=samples,
        selection=selection,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        precision=precision,
        concurrency=concurrency,
        timeout=timeout,
        api_key_file=api_key_file,
        prompts=prompts,
        budget=set_options(usd=budget_usd, tokens=budget_tokens, hours=budget_hours),
        prices=set_options(prompt=price_prompt, completion=price_completion) or None,
    )
    settings = settings_of(TeacherSettings, {"model": teacher, "chat": chat, **chosen}, "generate")
    annotations = stages.generate(
        task_of(task, source, split),
        settings,
        out,
        split=checked_split(split),
        limit=limit,
        seed=seed,
    )
    cost, outcome = beside.read_cost(out), beside.read_outcome(out)
    result = {
        "out": str(out),
        "n": len(annotations),
        "gates": {step: counts.model_dump() for step, counts in count_flags(annotations).items()},
        "cost": cost.model_dump(mode="json") if cost else None,
        "outcome": outcome.model_dump(mode="json", exclude_none=True) if outcome else None,
    }
    show(result, as_json, f"{out}: {len(annotations)} examples annotated.")
