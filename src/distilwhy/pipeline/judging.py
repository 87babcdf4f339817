"""The judge as stages ask it: its store and terms, and preferences as a stage of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import JudgeSettings, MeasureSettings
from distilwhy.explainability import MEASURES, alternatives
from distilwhy.files import read_json, sha256_json, write_json
from distilwhy.judging.judge import Judge
from distilwhy.judging.kinship import family_warnings
from distilwhy.judging.preference import Preferences, prefer
from distilwhy.judging.wording import wording
from distilwhy.manifests import StageRun, begin_stage, stage_is_done, write_manifest
from distilwhy.outputs import check_output_file
from distilwhy.pipeline.inputs import NO_TEXT_CHANGES, content, local_teacher, terms
from distilwhy.progress import say
from distilwhy.records import STUDENT_CARD, Prediction
from distilwhy.tasks.rows import draw

if TYPE_CHECKING:
    from distilwhy.generators.base import Generator

FILES = "judge_"
"""Beginning of the names by which a judge on this machine stands among a stage's inputs."""


def verdicts_path(folder: Path) -> Path:
    """Return where the judge's verdicts lie whose results are in a folder."""
    return folder / "judge" / "verdicts.jsonl"


def verdicts_beside(out: Path) -> Path:
    """Return where the judge's verdicts lie whose result is a file."""
    return out.with_name(f"{out.stem}.verdicts.jsonl")


def judge_files(settings: JudgeSettings) -> dict[str, Path]:
    """Return a judge's folder or file among a stage's inputs, where it is on this machine."""
    return {f"{FILES}{name}": path for name, path in local_teacher(settings.model).items()}


def judge_asking(settings: JudgeSettings) -> dict[str, Any]:
    """Return what of a judge's settings shapes its verdicts."""
    return settings.model_dump(mode="json", exclude=NO_TEXT_CHANGES)


def judge_of(
    settings: JudgeSettings, model: Generator, verdicts: Path | None, run: StageRun
) -> Judge:
    """Return a judge that keeps its verdicts and its budget.

    Args:
        settings: How it is asked.
        model: The model.
        verdicts: The store of its verdicts; ``None`` keeps none.
        run: The stage that asks, with :func:`judge_files` among its inputs.
    """
    asked = terms(settings, run, among_inputs=f"{FILES}teacher")
    return Judge(model, settings, verdicts, asked, run.seed or 0)


def asks_judge(measure: str, settings: MeasureSettings) -> bool:
    """Return whether a measure asks the judge that the settings name."""
    ways = [way for need in MEASURES.get(measure).needs for way in alternatives(need)]
    return settings.judge is not None and "judge" in ways


def base_of(student: Path | None) -> str | None:
    """Return the model string of what a student was trained from; ``None`` where nothing tells.

    Args:
        student: Its folder, which need not be there.
    """
    card = None if student is None else student / STUDENT_CARD
    if card is None or not card.is_file():
        return None
    found = read_json(card)
    return str(found["base"]) if isinstance(found, dict) and "base" in found else None


def prefer_all(
    predictors: Mapping[str, Sequence[Prediction]],
    out: Path | None,
    settings: JudgeSettings,
    *,
    bases: Mapping[str, str | None],
    limit: int | None = None,
    seed: int = 0,
    verdicts: Path | None = None,
    model: Generator | None = None,
) -> Preferences:
    """Have a judge compare each pair of predictors, unless the output holds that already.

    Args:
        predictors: Predictions by predictor, two or more.
        out: The file to write; ``None`` writes nothing.
        settings: The judge.
        bases: By predictor, what it was trained from; ``None`` where nothing tells.
        limit: Compare on so many questions at most, drawn by seed.
        seed: Seed of all draws.
        verdicts: The store of the judge's verdicts, which others may share; ``None`` keeps none.
        model: The judge's model, where it is loaded already.

    Raises:
        UserError: When the judge or the predictions cannot be used.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    from distilwhy.generators.open import lazy_generator

    if out is not None:
        check_output_file(out)
    asked = on_drawn_questions(predictors, limit, seed)
    inputs = judge_files(settings)
    fixed = {
        "judge": judge_asking(settings),
        "wording": wording().digest,
        "predictors": {name: content(rows)["examples"] for name, rows in asked.items()},
        "order": sha256_json(list(asked)),
        "bases": dict(bases),
        "seed": seed,
    }
    if out is not None and stage_is_done(out, "prefer", inputs, fixed):
        say(f"{out} is up to date.")
        return Preferences.model_validate(read_json(out))
    run = begin_stage("prefer", inputs, fixed, seed)
    warnings = family_warnings(settings.model, {name: bases.get(name) for name in asked})
    for warning in warnings:
        say(warning)
    model = model or lazy_generator(settings.model, settings)
    judge = judge_of(settings, model, verdicts, run)
    found = prefer(asked, judge).model_copy(update={"warnings": warnings})
    tell_unreadable(found.unreadable, found.verdicts)
    if out is not None:
        write_json(out, found.model_dump(mode="json"))
        # Without a manifest the same command asks for what was refused once more.
        if not judge.refused:
            write_manifest(out, run)
    return found


def on_drawn_questions(
    predictors: Mapping[str, Sequence[Prediction]], limit: int | None, seed: int
) -> dict[str, list[Prediction]]:
    """Return predictions of the same questions, so many at most, drawn by seed.

    Args:
        predictors: Predictions by predictor.
        limit: How many; ``None`` keeps all.
        seed: Seed of the draw.
    """
    names = dict.fromkeys(p.example.id for rows in predictors.values() for p in rows)
    drawn = set(draw(list(names), limit, seed))
    return {name: [p for p in rows if p.example.id in drawn] for name, rows in predictors.items()}


def tell_unreadable(unreadable: int, verdicts: int) -> None:
    """Say where most verdicts could not be read, and what that mostly comes from.

    Args:
        unreadable: How many could not be read.
        verdicts: Of how many.
    """
    if 2 * unreadable > verdicts:
        say(
            f"{unreadable:,} of {verdicts:,} verdicts could not be read. Many chat models need "
            "chat: true (--judge-chat), one that thinks first a higher max_new_tokens of the judge "
            "(--explanations FILE); a small model may not be able to judge."
        )


def explained(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions with an explanation that is not empty."""
    return [p for p in predictions if p.rationale and p.rationale.strip()]
