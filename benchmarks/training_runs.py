"""One measurement of the training benchmark: a way of training, timed and weighed here."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from training_published import CHUNK, PublishedTrainer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    LlamaConfig,
    PreTrainedModel,
    T5Config,
    Trainer,
    TrainerCallback,
    set_seed,
)

from distilwhy.config import Condition, TrainingSettings
from distilwhy.environment import peak_memory_mb
from distilwhy.files import read_records
from distilwhy.models.fusion import compile_layers, fuse_activations
from distilwhy.models.load import LoadedModel, load_model, load_tokenizer
from distilwhy.models.precision import resolve_precision
from distilwhy.records import Annotation
from distilwhy.students.rows import EncodedRow, read_once
from distilwhy.students.views import ViewOptions, make_rows
from distilwhy.training.arguments import training_arguments
from distilwhy.training.batches import flatten
from distilwhy.training.data import TrainingData, step_sampler
from distilwhy.training.methods import Method, resolve_method
from distilwhy.training.train import make_encoder
from distilwhy.training.trainer import ViewTrainer

UNTIMED = 2
"""Steps before the clock starts: allocators, caches and the optimiser's state settle."""


@dataclass(frozen=True)
class Student:
    """A student of the benchmark: how it is made, and the checkpointing of both ways compared."""

    load: Callable[[], PreTrainedModel]
    checkpointing: tuple[tuple[bool, bool], ...] = ()


def t5_base() -> PreTrainedModel:
    """Return a model of T5 v1.1 base's dimensions; its weights are random."""
    config = T5Config(
        vocab_size=32128,
        d_model=768,
        d_ff=2048,
        d_kv=64,
        num_heads=12,
        num_layers=12,
        num_decoder_layers=12,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )
    return AutoModelForSeq2SeqLM.from_config(config)


def llama(width: int, layers: int) -> PreTrainedModel:
    """Return a small Llama-type model with random weights and 8,192 words."""
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        tie_word_embeddings=True,
    )
    return AutoModelForCausalLM.from_config(config)


def smollm2() -> PreTrainedModel:
    """Return SmolLM2-135M."""
    return load_model("embedded").model


STUDENTS = {
    "smollm2": Student(smollm2, ((False, False), (True, True))),
    "t5-base": Student(t5_base, ((True, False), (False, False), (True, True))),
}

SIZES = {
    "9M": Student(partial(llama, 256, 8)),
    "29M": Student(partial(llama, 384, 12)),
    "95M": Student(partial(llama, 640, 16)),
}
"""Students of three sizes, for what cost follows from."""

CONDITIONS = {
    "multitask : unrevised": Condition(method="multitask", data="unrevised"),
    "multitask+counterfactual : revised": Condition(
        method="multitask+counterfactual", data="revised"
    ),
}


@dataclass(frozen=True)
class Plan:
    """What one measurement does.

    Args:
        way: ``published`` or ``distilwhy``.
        student: A name in ``STUDENTS`` or ``SIZES``.
        condition: A name in ``CONDITIONS``.
        precision: ``fp32``, or ``bf16``: bf16 autocast over fp32 weights.
        checkpointing: Whether activations are computed again in the backward pass.
        batch_size: Examples a step.
        steps: Timed steps.
        annotations: An annotations file; rows of the same length statistics without.
        settings: Other fields of ``TrainingSettings``, for our way.
    """

    way: str
    student: str
    condition: str
    precision: str
    checkpointing: bool
    batch_size: int
    steps: int
    annotations: str | None = None
    settings: dict[str, Any] | None = None

    @property
    def tag(self) -> str:
        """Where rows have their tags."""
        tag: str = (self.settings or {}).get("tag", "front")
        return tag

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as what JSON can hold."""
        return asdict(self)


def measure(plan: Plan) -> dict[str, Any]:
    """Train for a few steps and return examples a second, memory, losses and where time went."""
    set_seed(0)
    model = (STUDENTS | SIZES)[plan.student].load()
    method = resolve_method(CONDITIONS[plan.condition])
    groups = encoded_rows(plan, model, method)
    with tempfile.TemporaryDirectory() as folder:
        trainer, order = _trainer(plan, model, method, groups, Path(folder))
        clock = Clock(trainer)
        trainer.add_callback(clock)
        trainer.train()
    memory, seconds = peak_memory_mb(), clock.seconds
    first, last = UNTIMED * plan.batch_size, (UNTIMED + plan.steps) * plan.batch_size
    shared = plan.way == "distilwhy" and plan.tag == "end"
    timed = [
        rows
        for place in order[first:last]
        for rows in ([groups[place]] if shared else [[row] for row in groups[place]])
    ]
    flops = sum(needed_flops(model, rows) for rows in timed)
    peak = matrix_product_peak(torch.bfloat16 if plan.precision == "bf16" else torch.float32)
    return {
        "examples_per_second": (last - first) / seconds,
        "tokens_per_second": sum(map(read_once, timed)) / seconds,
        "seconds": seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
        "peak_memory_mb": memory,
        "padding_share": 1 - trainer.tokens / trainer.positions,
        "peak_gflops": peak / 1e9,
        "needed_gflops": flops / seconds / 1e9,
        "peak_share": flops / seconds / peak,
        **{f"{part}_share": spent / seconds for part, spent in clock.spent.items()},
        "losses": clock.losses,
    }


def _trainer(
    plan: Plan,
    model: PreTrainedModel,
    method: Method,
    groups: list[list[EncodedRow]],
    folder: Path,
) -> tuple[Any, list[int]]:
    settings = TrainingSettings(
        **{
            "max_steps": plan.steps + UNTIMED,
            "batch_size": plan.batch_size,
            "precision": plan.precision,
            "gradient_checkpointing": plan.checkpointing,
            "held_out": 0.0,
            **(plan.settings or {}),
        }
    )
    loaded = LoadedModel(plan.student, model, load_tokenizer("embedded").tokenizer)
    encoder = make_encoder(loaded, settings)
    rows, places = flatten(groups)
    sampler = step_sampler(TrainingData(rows, [], places, [], len(groups), 0), settings, encoder)
    dtype = resolve_precision(settings.precision)
    if plan.way == "distilwhy":
        fuse_activations(model)
        if settings.compile:
            compile_layers(model)
    arguments = training_arguments(settings, sampler, dtype, folder, evaluates=False)
    trainer = ViewTrainer(
        model, arguments, method=method, encoder=encoder, rows=rows, sampler=sampler, held_out=[]
    )
    trainer.args.save_strategy = "no"
    trainer.args.logging_steps = 1
    if plan.way == "published":
        in_order = [groups[place] for place in trainer.sampler.order()]
        return PublishedTrainer(trainer, in_order), trainer.sampler.order()
    return trainer, trainer.sampler.order()


class Clock(TrainerCallback):
    """Times the steps after the first ones, and within them the passes and the optimiser.

    Args:
        trainer: The trainer whose parts are timed.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.losses: list[float] = []
        self.seconds = 0.0
        self.spent = dict.fromkeys(("forward", "backward", "optimiser"), 0.0)
        self.start = 0.0
        trainer.compute_loss = self._timed("forward", trainer.compute_loss)
        trainer.accelerator.backward = self._timed("backward", trainer.accelerator.backward)

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[part] += time.perf_counter() - start

        return timed

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the optimiser's clock."""
        self.optimiser_start = time.perf_counter()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the optimiser's clock."""
        self.spent["optimiser"] += time.perf_counter() - self.optimiser_start

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin to count when the first steps are over."""
        if state.global_step == UNTIMED:
            self.spent = dict.fromkeys(self.spent, 0.0)
            self.start = time.perf_counter()
        self.seconds = time.perf_counter() - self.start

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Keep each step's loss."""
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def needed_flops(model: PreTrainedModel, rows: list[EncodedRow]) -> float:
    """Return the floating-point operations that training on rows of one source needs.

    Six for each weight of a matrix that a token meets (Kaplan et al. 2020, arXiv 2001.08361);
    attention's own products, padding, other logits than those of target tokens and what is
    computed a second time are not needed.
    """
    head: Any = model.get_output_embeddings()
    inner = [(name, m.weight.numel()) for name, m in model.named_modules() if _is_inner(m, head)]
    targets = sum(len(row.target) for row in rows)
    weights = head.weight.numel() * (targets - sum(row.given for row in rows))
    if not model.config.is_encoder_decoder:
        tokens = read_once(rows) - len(rows)
        return 6.0 * (weights + sum(size for _, size in inner) * tokens)
    for name, size in inner:
        of_source = name.startswith("encoder") or name.endswith(
            ("EncDecAttention.k", "EncDecAttention.v")
        )
        weights += size * (len(rows[0].source) if of_source else targets)
    return 6.0 * weights


def _is_inner(module: torch.nn.Module, head: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) and module is not head


def matrix_product_peak(dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of a large matrix product: the best of ten."""
    left, right = torch.randn(1024, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        best = min(best, time.perf_counter() - start)
    return 2.0 * 1024 * 2048 * 2048 / best


QUESTION = (48, 80)
RATIONALE = (46, 69)
REVISION = (115, 265)
ANSWER = (10, 14)
"""Tokens on average, and the longest of 1,000."""
TAG = 4
"""Tokens of a tag, with which a question and the targets of some views begin."""


def encoded_rows(plan: Plan, model: PreTrainedModel, method: Method) -> list[list[EncodedRow]]:
    """Return the rows of 1,000 examples: of an annotations file, or of the same lengths."""
    number = {view: place for place, view in enumerate(method.weights)}
    condition = CONDITIONS[plan.condition]
    if plan.annotations:
        if model.config.is_encoder_decoder:
            raise SystemExit("T5's tokenizer is not at hand here: leave out --annotations.")
        loaded = LoadedModel(plan.student, model, load_tokenizer("embedded").tokenizer)
        encoder = make_encoder(loaded, TrainingSettings())
        annotations = read_records(Path(plan.annotations), Annotation)[:CHUNK]
        options = ViewOptions(data=condition.data, tag=plan.tag)
        rows = make_rows(annotations, list(number), options)
        return [[encoder.encode(row, number[row.view]) for row in group] for group in rows]
    draws = random.Random(0)
    explanation = REVISION if condition.data == "revised" else RATIONALE
    vocabulary = model.config.vocab_size

    def ids(*parts: tuple[int, int]) -> tuple[int, ...]:
        length = sum(_draw(draws, part) for part in parts)
        return tuple(draws.randrange(10, vocabulary) for _ in range(length))

    def row(view: str, question: tuple[int, ...]) -> EncodedRow:
        wrong = ids(RATIONALE) if view == "counterfactual" else ()
        parts = {"explain": (explanation,), "factual": (explanation, ANSWER)}.get(view, (ANSWER,))
        target = ids(*parts)
        tag = (number[view],) * TAG
        if plan.tag == "front":
            return EncodedRow(number[view], tag + question + wrong, target, 0, cut=False)
        read = tag + wrong
        counted = target[TAG if view in ("factual", "counterfactual") else 0 :]
        return EncodedRow(number[view], question, read + counted, len(read), cut=False)

    def example() -> list[EncodedRow]:
        question = ids(QUESTION)[TAG:]
        return [row(view, question) for view in method.weights]

    return [example() for _ in range(CHUNK)]


def _draw(draws: random.Random, part: tuple[int, int]) -> int:
    """Return a length: normal, with the standard deviation that puts the longest of 1,000 there."""
    mean, longest = part
    # The largest of 1,000 normal draws lies 3.24 standard deviations above their mean.
    return max(4, min(longest, round(draws.gauss(mean, (longest - mean) / 3.24))))
