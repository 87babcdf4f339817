"""Asking a student, or the teacher itself, for answers and reasons: the predict stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distilwhy.config import PredictionSettings, TeachingSettings
from distilwhy.errors import StageError, StoppedError
from distilwhy.generators.base import Generator
from distilwhy.generators.recorded import StoredText
from distilwhy.inference.student import TrainedStudent
from distilwhy.models.precision import peak_model_memory_mb
from distilwhy.progress import progress_bar
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example, Prediction, PredictionSummary
from distilwhy.tasks.answers import parse_answer
from distilwhy.teaching.asking import FREE, Request, TextSource, stored_teacher
from distilwhy.teaching.own_answers import split_answer
from distilwhy.teaching.spending import Terms
from distilwhy.teaching.steps import Asking, StepPrompt, answer_prompt


@dataclass(frozen=True)
class Predicted:
    """Predictions and what they cost."""

    predictions: list[Prediction]
    summary: PredictionSummary


def predict(student: Path, examples: Sequence[Example], settings: PredictionSettings) -> Predicted:
    """Ask a trained student.

    Args:
        student: The folder that training wrote.
        examples: The examples to answer.
        settings: Batch size, limits, precision and which tags ask.

    Raises:
        ModelError: When the folder is not a trained student, or it has no tags to swap.
    """
    asked = TrainedStudent(student, settings)
    start = time.monotonic()
    predictions = asked.predict(examples, settings.tags)
    tokens = sum(prediction.generated_tokens for prediction in predictions)
    summary = _summary(len(predictions), tokens, start, asked.precision, asked.parameters)
    return Predicted(predictions, summary)


def answer_prompts(
    examples: Sequence[Example], settings: TeachingSettings, seed: int
) -> list[StepPrompt]:
    """Return what :func:`ask_teacher` asks about each example.

    Args:
        examples: The examples to answer.
        settings: How the teacher is asked.
        seed: The experiment's seed.
    """
    families = {example.family for example in examples}
    asking = {
        family: Asking(load_prompts(family, settings.prompts), settings, seed)
        for family in families
    }
    return [answer_prompt(example, asking[example.family]) for example in examples]


def ask_teacher(
    generator: Generator,
    examples: Sequence[Example],
    settings: TeachingSettings,
    *,
    seed: int,
    store_path: Path,
    terms: Terms = FREE,
) -> Predicted:
    """Ask the teacher for answer and reason without telling it the right answer.

    Args:
        generator: The teacher.
        examples: The examples to answer.
        settings: How the teacher is asked; shots and adjectives as in teaching.
        seed: The experiment's seed.
        store_path: The store of its texts; what it holds is not asked again.
        terms: Budget and prices.

    Raises:
        StageError: When the teacher leaves prompts unanswered.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    prompts = answer_prompts(examples, settings, seed)
    start = time.monotonic()
    with stored_teacher(generator, store_path, terms) as source:
        texts, asked = _ask_or_recall(source, examples, prompts)
    predictions = []
    for example, text in zip(examples, texts, strict=True):
        answer, reason = split_answer(text.text, example)
        predictions.append(
            Prediction(
                example=example,
                answer=parse_answer(answer, example.choices),
                answer_text=text.text.strip(),
                rationale=reason or None,
                generated_tokens=text.completion_tokens,
            )
        )
    precision = getattr(generator, "precision", "unknown")
    return Predicted(predictions, _summary(len(predictions), asked, start, precision, None))


def _ask_or_recall(
    source: TextSource,
    examples: Sequence[Example],
    prompts: Sequence[StepPrompt],
) -> tuple[list[StoredText], int]:
    """Return each prompt's text, and how many tokens were generated for them now."""
    keys = [source.key(prompt.prompt, prompt.decoding) for prompt in prompts]
    missing = {
        key: Request(prompt.prompt, prompt.decoding, prompt.step, example.id)
        for key, prompt, example in zip(keys, prompts, examples, strict=True)
        if source.get(key) is None
    }
    before, tokens = len(set(keys)) - len(missing), 0
    done = before
    with progress_bar("ask the teacher", len(set(keys)), before) as advance:
        try:
            for done, row in enumerate(source.ask(missing), before + 1):
                tokens += row.completion_tokens
                advance(done, note=source.note)
        except StoppedError as stop:
            stop.missing = {"answer": len(set(keys)) - done}
            raise
    found = [source.get(key) for key in keys]
    texts = [text for text in found if text is not None]
    if len(texts) < len(keys):
        raise StageError(f"{source.name} left {len(keys) - len(texts)} prompts unanswered.")
    return texts, tokens


def _summary(
    examples: int, tokens: int, start: float, precision: str, parameters: int | None
) -> PredictionSummary:
    seconds = time.monotonic() - start
    return PredictionSummary(
        examples=examples,
        seconds=seconds,
        generated_tokens=tokens,
        tokens_per_second=tokens / max(seconds, 1e-9),
        peak_memory_mb=peak_model_memory_mb(),
        precision=precision,
        parameters=parameters,
    )
