"""Fitting a run into a memory budget: more forward passes, recomputed activations, adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks

from distilwhy.config import LoraSettings, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.models.load import LoadedModel
from distilwhy.models.precision import resolve_precision
from distilwhy.progress import say
from distilwhy.students.encode import Encoder
from distilwhy.students.forward import target_logits
from distilwhy.students.load import with_lora
from distilwhy.students.rows import Batch, EncodedRow
from distilwhy.training.batches import StepSampler
from distilwhy.training.data import TrainingData, step_sampler
from distilwhy.training.processes import refuse_spread_adapters

GIB = 2**30
PROCESS = 0.7 * GIB
"""What Python, torch and transformers take before any model."""
MARGIN = 1.25
"""Allocators keep holes between tensors, and single operations need room of their own."""
PROBE_TOKENS = 256


@dataclass(frozen=True)
class Sizes:
    """What the memory of a run follows from; all in bytes, measured on the student itself.

    Args:
        weights: All weights, in fp32.
        largest: The largest weight; its gradient is made twice where it is used twice.
        adapters: Weights of default adapters, in fp32.
        working: Copies of the weights in the precision of the computation.
        kept: Activations kept for the backward pass, a token.
        kept_recomputing: The same where they are computed again layer by layer, a token.
        logits: Logits of one target token in fp32.
    """

    weights: float
    largest: float
    adapters: float
    working: float
    kept: float
    kept_recomputing: float
    logits: float


@dataclass(frozen=True)
class Choice:
    """How a run is made to fit.

    Args:
        micro_batches: Forward passes a step.
        recompute: Whether activations are computed again in the backward pass.
        adapters: Whether adapters are trained instead of all weights.
        expected: Peak memory expected, in bytes.
    """

    micro_batches: int
    recompute: bool
    adapters: bool
    expected: float

    def describe(self, budget: float) -> str:
        """Return the choice as a sentence; the budget is in GiB."""
        passes = f"{self.micro_batches} forward passes" if self.micro_batches > 1 else "one pass"
        means = [f"{passes} a step"]
        means += ["activations computed again"] if self.recompute else []
        means += ["adapters instead of all weights"] if self.adapters else []
        return (
            f"Memory budget {budget:g} GiB: {', '.join(means)}; "
            f"{self.expected / GIB:.1f} GiB expected."
        )


def choose(
    budget: float, sizes: Sizes, passes: dict[int, tuple[int, int]], has_adapters: bool
) -> Choice:
    """Return the choice that costs the least time among those within a budget.

    More forward passes cost nearly nothing, computing activations again a third, and adapters
    change what is trained; so they are tried in this order.

    Args:
        budget: In bytes.
        sizes: The student's sizes.
        passes: For each number of forward passes a step, ascending: tokens and target tokens of
            the largest pass.
        has_adapters: Whether the student has adapters anyway.

    Raises:
        ConfigError: When nothing fits.
    """
    tried = []
    for adapters in (has_adapters,) if has_adapters else (False, True):
        for recompute in (False, True):
            for count, (tokens, targets) in passes.items():
                need = _peak(sizes, tokens, targets, recompute, adapters)
                choice = Choice(count, recompute, adapters and not has_adapters, need)
                if need <= budget:
                    return choice
                tried.append(choice)
    least = min(choice.expected for choice in tried)
    raise ConfigError(
        f"training.memory_budget {budget / GIB:g} GiB is too small: this student needs at least "
        f"{least / GIB:.1f} GiB, with adapters, recomputed activations and the smallest passes.",
        "Raise the budget, take a smaller student or shorten max_target_tokens.",
    )


def _peak(sizes: Sizes, tokens: int, targets: int, recompute: bool, adapters: bool) -> float:
    trained = sizes.adapters if adapters else sizes.weights
    # Gradients and AdamW's two moments, each as large as the weights that are trained.
    state = sizes.weights + 3 * trained + sizes.working + (0 if adapters else 2 * sizes.largest)
    kept = sizes.kept_recomputing if recompute else sizes.kept
    # Logits, their logarithms of probabilities and their gradient.
    return PROCESS + MARGIN * (state + kept * tokens + 3 * sizes.logits * targets)


@dataclass(frozen=True)
class Fitted:
    """A student and settings that keep to a memory budget.

    Args:
        student: The student, with adapters where only they fit.
        settings: The run's settings.
        chosen: What was chosen, as a sentence; ``None`` without a budget.
    """

    student: LoadedModel
    settings: TrainingSettings
    chosen: str | None = None


def fit_to_budget(
    loaded: LoadedModel, encoder: Encoder, data: TrainingData, settings: TrainingSettings
) -> Fitted:
    """Return the student and settings that keep a run within ``settings.memory_budget``, if any.

    The choice follows from student, data and settings alone, so that a resumed run makes it again.

    Args:
        loaded: The student.
        encoder: Makes batches.
        data: The run's rows.
        settings: The run's settings.

    Raises:
        ConfigError: When nothing fits, or only adapters would where there can be none.
    """
    budget = settings.memory_budget
    if budget is None:
        return Fitted(loaded, settings)
    dtype = resolve_precision(settings.precision)
    has_adapters = hasattr(loaded.model, "peft_config")
    passes = dict(_largest_passes(data, settings, encoder))
    sizes = measure_sizes(loaded, encoder, data.rows, dtype)
    choice = choose(budget * GIB, sizes, passes, has_adapters)
    if choice.adapters:
        refuse_spread_adapters("Raise training.memory_budget, or start it with torchrun.")
        model = with_lora(loaded, LoraSettings())
        loaded = LoadedModel(loaded.name, model, loaded.tokenizer)
    update = {
        "micro_batches": choice.micro_batches,
        "gradient_checkpointing": choice.recompute or settings.gradient_checkpointing,
    }
    chosen = choice.describe(budget)
    say(chosen)
    return Fitted(loaded, settings.model_copy(update=update), chosen)


def check_budget(skeleton: LoadedModel, settings: TrainingSettings) -> None:
    """Refuse a budget that the weights alone exceed, whatever the rows are.

    Args:
        skeleton: The student, with or without its weights.
        settings: The run's settings.

    Raises:
        ConfigError: When it is so.
    """
    if settings.memory_budget is None:
        return
    model: Any = skeleton.model
    choose(settings.memory_budget * GIB, _weight_sizes(model), {1: (0, 0)}, has_adapters=False)


def _weight_sizes(model: Any) -> Sizes:
    """Return the sizes that a student's weights have, and nothing for what a pass needs."""
    weights = [p.numel() * 4 for p in model.parameters()]
    adapters = _adapter_bytes(model, LoraSettings().rank)
    return Sizes(sum(weights), max(weights), adapters, 0, 0, 0, 0)


def _largest_passes(
    data: TrainingData, settings: TrainingSettings, encoder: Encoder
) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield numbers of forward passes a step, each with the tokens of an epoch's largest pass."""
    count = 0
    sampler = step_sampler(data, settings, encoder)
    while sampler.micro_batches > count:
        count = sampler.micro_batches
        yield count, _largest_pass(sampler, data.rows, encoder)
        more = settings.model_copy(update={"micro_batches": 2 * count})
        sampler = step_sampler(data, more, encoder)


def _largest_pass(
    sampler: StepSampler, rows: Sequence[EncodedRow], encoder: Encoder
) -> tuple[int, int]:
    """Return the tokens and the target tokens of an epoch's largest forward pass."""
    largest, most_targets = 0, 0
    for members in sampler:
        largest = max(largest, encoder.tokens([rows[index] for index in members]))
        targets = sum(len(rows[index].target) - rows[index].given for index in members)
        most_targets = max(most_targets, targets)
    return largest, most_targets


def measure_sizes(
    loaded: LoadedModel, encoder: Encoder, rows: Sequence[EncodedRow], dtype: torch.dtype
) -> Sizes:
    """Measure what a student keeps in memory, with a forward pass over a few rows.

    Args:
        loaded: The student.
        encoder: Makes batches.
        rows: Rows to take some from.
        dtype: Precision of the computation.
    """
    model: Any = loaded.model
    known = _weight_sizes(model)
    some = list(_first_tokens(rows, PROBE_TOKENS))
    batch = {k: v.to(model.device) for k, v in encoder.collate(some).items()}
    kept = activation_bytes(model, batch, dtype) / encoder.tokens(some)
    vocabulary = model.get_output_embeddings().weight.shape[0]
    config = model.config
    layers = config.num_hidden_layers + (getattr(config, "num_decoder_layers", None) or 0)
    return replace(
        known,
        working=known.weights / 2 if dtype == torch.bfloat16 else 0,
        kept=kept,
        # The input of each layer, and the activations of the one that is computed again.
        kept_recomputing=4 * config.hidden_size * layers + kept / layers,
        logits=4 * vocabulary,
    )


def activation_bytes(model: Any, batch: Batch, dtype: torch.dtype) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, without weights and logits.

    Args:
        model: The student.
        batch: What an encoder's ``collate`` returned, on the model's device.
        dtype: Precision of the computation.
    """
    known = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    autocast = torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32)
    with saved_tensors_hooks(note, lambda tensor: tensor), autocast:
        logits = target_logits(model, batch)
        total = sum(kept.values())
    model.eval()
    # Tensors stay alive until here, so that no two of them had the same place.
    del logits
    return total


def _first_tokens(rows: Sequence[EncodedRow], tokens: int) -> Iterator[EncodedRow]:
    """Yield the first rows, up to about so many tokens; one at least."""
    for row in rows:
        yield row
        tokens -= row.tokens
        if tokens <= 0:
            return


def _adapter_bytes(model: Any, rank: int) -> int:
    """Return the bytes of adapters of a rank on every linear layer but the last, in fp32."""
    head = model.get_output_embeddings()
    return sum(
        4 * rank * (module.in_features + module.out_features)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )
