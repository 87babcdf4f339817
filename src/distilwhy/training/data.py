"""From annotations to encoded rows: those trained on and those held out."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from distilwhy.config import Condition, TrainingSettings
from distilwhy.errors import ConfigError, DataError
from distilwhy.models.precision import default_device
from distilwhy.progress import say
from distilwhy.ranks import world_size
from distilwhy.records import Annotation
from distilwhy.students.controls import WITH_BLANKS
from distilwhy.students.encode import Encoder
from distilwhy.students.rows import EncodedRow, read_once
from distilwhy.students.views import Row, ViewOptions, make_rows
from distilwhy.training.batches import Bundle, StepSampler, flatten, passes_for
from distilwhy.training.methods import Method

PASS_TOKENS = {"cpu": 1024, "cuda": 16384}
"""Tokens of a forward pass by device: more make it no faster, and cost memory."""


def split_held_out(
    annotations: Sequence[Annotation], share: float, seed: int
) -> tuple[list[Annotation], list[Annotation]]:
    """Split off a seeded share of the training examples, both parts in file order.

    Args:
        annotations: All training examples.
        share: Share to hold out, in [0, 1); at least one example when it is above 0.
        seed: Seed of the draw.

    Raises:
        ConfigError: When nothing is left to train on.
    """
    count = math.ceil(len(annotations) * share)
    if len(annotations) - count < 1:
        raise ConfigError(
            f"Of {len(annotations)} examples, {count} held out leave none to train on.",
            "Give more examples or a smaller training.held_out.",
        )
    chosen = set(random.Random(f"{seed} held out").sample(range(len(annotations)), count))  # noqa: S311
    kept = [a for place, a in enumerate(annotations) if place not in chosen]
    return kept, [annotations[place] for place in sorted(chosen)]


@dataclass(frozen=True)
class TrainingData:
    """Encoded rows of the training and the held-out examples.

    Args:
        rows: Rows trained on, numbered in this order.
        texts: The same rows as texts.
        groups: Numbers of the rows of each training example.
        held_out: Rows held out.
        examples: Training examples.
        held_out_examples: Examples held out.
    """

    rows: list[EncodedRow]
    texts: list[Row]
    groups: list[list[int]]
    held_out: list[EncodedRow]
    examples: int
    held_out_examples: int


def encode_data(
    training: Sequence[Annotation],
    held_out: Sequence[Annotation],
    method: Method,
    condition: Condition,
    settings: TrainingSettings,
    encoder: Encoder,
) -> TrainingData:
    """Return the rows of a method, as tokens; those longer than the limits are cut and counted.

    Args:
        training: Examples to train on.
        held_out: Examples to choose a checkpoint by.
        method: The views.
        condition: Data kind and form of the views.
        settings: Limits and seed.
        encoder: Turns rows into tokens.

    Raises:
        ConfigError: When no example holds the texts of a view.
        DataError: When an example has no right answer.
    """
    unlabelled = [a.example.id for a in (*training, *held_out) if a.example.answer is None]
    if unlabelled:
        raise DataError(
            f"{len(unlabelled)} examples have no right answer, e.g. {unlabelled[0]!r}.",
            "Give annotations of labelled examples.",
        )
    options = ViewOptions(
        data=condition.data,
        counterfactual_form=condition.counterfactual_form,
        wrong_choices=condition.wrong_choices,
        seed=settings.seed,
        blanks=condition.control in WITH_BLANKS,
        tag=settings.tag,
    )
    number = {view: place for place, view in enumerate(method.weights)}
    # One call for both parts: a small held-out part may lack a view that the whole has.
    grouped = make_rows([*training, *held_out], list(number), options)
    encoded = [[encoder.encode(row, number[row.view]) for row in rows] for rows in grouped]
    rows, groups = flatten(encoded[: len(training)])
    rows = [replace(row, number=number) for number, row in enumerate(rows)]
    texts = [row for rows in grouped[: len(training)] for row in rows]
    cut = sum(row.cut for example in encoded for row in example)
    if cut:
        say(
            f"{cut} of {sum(map(len, encoded))} rows are longer than the limits "
            f"({settings.max_source_tokens} source, {settings.max_target_tokens} target tokens) "
            "and were cut."
        )
    apart = flatten(encoded[len(training) :])[0]
    return TrainingData(rows, texts, groups, apart, len(training), len(held_out))


def step_sampler(data: TrainingData, settings: TrainingSettings, encoder: Encoder) -> StepSampler:
    """Return which rows stand together in a run's steps and forward passes.

    Args:
        data: The run's rows.
        settings: Examples and forward passes a step, seed.
        encoder: Makes batches of the rows, and knows which of them share a source.
    """

    def bundle(numbers: Sequence[int]) -> list[Bundle]:
        rows = [data.rows[number] for number in numbers]
        return [
            Bundle([numbers[place] for place in places], read_once([rows[p] for p in places]))
            for places in encoder.bundles(rows)
        ]

    tokens = PASS_TOKENS[default_device().type]
    lengths = [part.length for group in data.groups for part in bundle(group)]
    passes = settings.micro_batches or passes_for(
        lengths, len(data.groups), settings.batch_size, tokens
    )
    return StepSampler(
        data.groups,
        bundle,
        batch_size=settings.batch_size,
        micro_batches=passes,
        seed=settings.seed,
        processes=world_size(),
    )
