"""Speed of the local engine against plain ``model.generate``, side by side in one run.

    python benchmarks/local_generation.py [--annotations annotations.jsonl] [--questions 100]

Plain: each prompt whole, left-padded batches in file order, the same model, precision and machine,
in two forms: ``published`` (160 new tokens, no stop string, the first line is kept) and
``stop_strings`` (the engine's own token limit, ``stop_strings`` of transformers). Plain batches are
done before and after the engine's run of a step, so that a machine that drifts favours neither.
Questions come from an annotations file (``distilwhy import``), whose rationales and critiques the
later steps build on, or from the shipped mini task; worked examples stand in for texts that are not
there.

For the counterfactual step it also says where the engine's time goes, and how its passes compare
with bare forward passes of the same shapes, without any prefix. The result is written to
benchmarks/results/local_generation.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from distilwhy.config import TeachingSettings
from distilwhy.environment import machine, versions
from distilwhy.files import read_records, write_json
from distilwhy.generators.base import Decoding
from distilwhy.generators.prefix_store import PrefixStore
from distilwhy.generators.slots import SlotContinuation
from distilwhy.generators.transformers_local import LocalGenerator
from distilwhy.models.cache import with_cache
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.models.precision import precision_name, resolve_precision
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example, TeacherText
from distilwhy.tasks import load_task
from distilwhy.teaching.steps import (
    Asking,
    StepPrompt,
    counterfactual_prompt,
    critique_prompt,
    rationale_prompt,
    revision_prompt,
)
from distilwhy.teaching.waves import Wanted

STEPS = ("counterfactual", "rationale", "critique", "revision")
PUBLISHED = Decoding(max_new_tokens=160)
RESULTS = Path(__file__).parent / "results" / "local_generation.json"


def questions(path: Path | None, count: int) -> list[Annotation]:
    """Return annotated questions: a file's, or the mini task's with stand-in texts."""
    if path is not None:
        return read_records(path, Annotation)[:count]
    worked = load_prompts("multiple_choice").worked_examples[0]
    texts = [TeacherText(text=text) for text in (worked.rationale, worked.critique)]
    return [
        Annotation(example=example, teacher="stand-in", rationale=texts[0], critique=texts[1])
        for example in load_task("mini").load("train", count)
    ]


def prompts_of(step: str, annotations: Sequence[Annotation]) -> list[Wanted]:
    """Return a step's prompts in file order: 7 shots, 8 pairs of adjectives, as by default."""
    asking = Asking(load_prompts("multiple_choice"), TeachingSettings(), 0)
    wanted: list[Wanted] = []
    for annotation in annotations:
        wanted += [
            Wanted(annotation.example, prompt) for prompt in _prompts(step, annotation, asking)
        ]
    return wanted


def _prompts(step: str, annotation: Annotation, asking: Asking) -> list[StepPrompt]:
    example: Example = annotation.example
    rationale = annotation.rationale.text if annotation.rationale else ""
    # Published annotations hold no critiques.
    stand_in = asking.prompts.worked_examples[0].critique
    critique = annotation.critique.text if annotation.critique else stand_in
    if step == "counterfactual":
        # As published: every choice is argued for, the right one too.
        return [counterfactual_prompt(example, choice, asking) for choice in example.choices]
    if step == "rationale":
        return [rationale_prompt(example, asking)]
    if step == "critique":
        return [critique_prompt(example, rationale, asking)] if rationale else []
    return [revision_prompt(example, rationale, critique, asking)] if rationale else []


@dataclass
class Rate:
    """Texts, tokens and seconds of one way, added up over its parts."""

    texts: int = 0
    prompt_tokens: int = 0
    padding: int = 0
    new_tokens: int = 0
    seconds: float = 0.0

    @property
    def texts_per_second(self) -> float:
        """Texts a second."""
        return self.texts / self.seconds

    def figures(self) -> dict[str, float]:
        """Return all that is worth keeping."""
        return {
            **{k: round(v, 2) if isinstance(v, float) else v for k, v in vars(self).items()},
            "texts_per_second": round(self.texts_per_second, 3),
            "tokens_a_text": round(self.new_tokens / self.texts, 1),
        }


def plain(
    loaded: LoadedModel, wanted: Sequence[Wanted], size: int, rate: Rate, *, published: bool
) -> None:
    """Generate the plain way and add to a rate."""
    model: Any = loaded.model
    tokenizer: Any = loaded.tokenizer
    model.set_attn_implementation("sdpa")
    for start in range(0, len(wanted), size):
        batch = [one.prompt for one in wanted[start : start + size]]
        decoding = PUBLISHED if published else batch[0].decoding
        stops = {} if published else {"stop_strings": list(decoding.stop), "tokenizer": tokenizer}
        begun = time.perf_counter()
        inputs = tokenizer([one.prompt for one in batch], return_tensors="pt", padding=True)
        written = model.generate(
            **inputs,
            max_new_tokens=decoding.max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            **stops,
        )[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(written, skip_special_tokens=True)
        texts = [text.strip().split("\n")[0] for text in texts]
        rate.seconds += time.perf_counter() - begun
        rate.texts += len(texts)
        real = int(inputs["attention_mask"].sum())
        rate.prompt_tokens += real
        rate.padding += inputs["input_ids"].numel() - real
        rate.new_tokens += int((written != tokenizer.pad_token_id).sum())


@dataclass
class Clock:
    """Seconds of each part of the engine, and the shapes of its passes."""

    seconds: dict[str, float] = field(default_factory=dict)
    decode_rows: list[int] = field(default_factory=list)
    started: int = 0
    own_tokens: int = 0
    prefix_tokens: int = 0

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Add what happens within to a part."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begun


@contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Time the engine's prefixes, prefills and decode steps."""
    compute, start, step = PrefixStore._compute, SlotContinuation._start, SlotContinuation.step
    extend = SlotContinuation._extend

    def timed_compute(self: Any, ids: Any) -> Any:
        before = self.computed_tokens
        with clock.on("prefixes"):
            found = compute(self, ids)
        clock.prefix_tokens += self.computed_tokens - before
        return found

    def timed_start(self: Any, prompts: Any, before: int) -> Any:
        clock.started += len(prompts)
        with clock.on("prefill with prefixes"):
            return start(self, prompts, before)

    def counted_extend(self: Any, pieces: Any) -> Any:
        clock.own_tokens += sum(len(piece.tokens) for piece in pieces)
        return extend(self, pieces)

    def timed_step(self: Any, last: Any) -> Any:
        clock.decode_rows.append(len(last))
        with clock.on("decode"):
            return step(self, last)

    patched: dict[tuple[Any, str], Callable[..., Any]] = {
        (PrefixStore, "_compute"): timed_compute,
        (SlotContinuation, "_start"): timed_start,
        (SlotContinuation, "_extend"): counted_extend,
        (SlotContinuation, "step"): timed_step,
    }
    originals = {place: getattr(*place) for place in patched}
    for (owner, name), function in patched.items():
        setattr(owner, name, function)
    try:
        yield
    finally:
        for (owner, name), function in originals.items():
            setattr(owner, name, function)


def engine(loaded: LoadedModel, wanted: Sequence[Wanted], batch_size: int) -> tuple[Rate, Clock]:
    """Generate with the engine, prompts in the order in which teaching asks them."""
    ordered = sorted(wanted, key=lambda one: one.place)
    generator = LocalGenerator(loaded, batch_size)
    assert generator.prefixes is not None  # also the trial of the model, once a process
    rate, clock = Rate(), Clock()
    begun = time.perf_counter()
    with watched(clock):
        asked = [one.prompt.prompt for one in ordered]
        for _, text in generator.generate(asked, ordered[0].prompt.decoding):
            rate.texts += 1
            rate.prompt_tokens += text.prompt_tokens
            rate.new_tokens += text.completion_tokens
    rate.seconds = time.perf_counter() - begun
    return rate, clock


@torch.inference_mode()
def bare(loaded: LoadedModel, rows: int, own: int, repeats: int = 5) -> dict[str, float]:
    """Return tokens a second of bare forward passes, without any prefix.

    Args:
        loaded: The model.
        rows: Rows of a pass.
        own: Tokens that each row has before the step.
        repeats: Steps timed.
    """
    model: Any = loaded.model
    model.set_attn_implementation("sdpa")
    ids = torch.full((rows, own), 100)
    passes = {}
    for _ in range(2):  # the first warms up
        cache = DynamicCache(config=model.config)
        begun = time.perf_counter()
        model(input_ids=ids, **with_cache(cache), use_cache=True, logits_to_keep=1)
        passes["prefill"] = rows * own / (time.perf_counter() - begun)
    begun = time.perf_counter()
    for _ in range(repeats):
        model(input_ids=ids[:, :1], **with_cache(cache), use_cache=True, logits_to_keep=1)
    passes["decode"] = rows * repeats / (time.perf_counter() - begun)
    return passes


def breakdown(loaded: LoadedModel, rate: Rate, clock: Clock) -> dict[str, Any]:
    """Return where the engine's time goes and how far its passes are from bare ones."""
    prefixes = clock.seconds.get("prefixes", 0.0)
    parts = {
        "prefixes": prefixes,
        "prefill": clock.seconds["prefill with prefixes"] - prefixes,
        "decode": clock.seconds["decode"],
    }
    parts["tokenising, choosing tokens, Python"] = rate.seconds - sum(parts.values())
    rows = round(sum(clock.decode_rows) / len(clock.decode_rows))
    prefill = clock.own_tokens / parts["prefill"]
    decode = sum(clock.decode_rows) / parts["decode"]
    own = max(1, round(clock.own_tokens / clock.started))
    # A row half way through its text holds its question, its choice and half of the text.
    reference = bare(loaded, rows, 75 + round(rate.new_tokens / rate.texts / 2))
    chunk = bare(loaded, 16, own)
    return {
        "share_of_time": {part: round(s / rate.seconds, 3) for part, s in parts.items()},
        "prefix_tokens": clock.prefix_tokens,
        "prefix_tokens_per_second": round(clock.prefix_tokens / prefixes) if prefixes else None,
        "own_tokens_a_text": round(clock.own_tokens / rate.texts, 1),
        "prompt_tokens_a_text": round(rate.prompt_tokens / rate.texts),
        "rows_in_a_decode_step": rows,
        "decode_tokens_per_second": round(decode),
        "bare_decode_tokens_per_second": round(reference["decode"]),
        "decode_share_of_bare": round(decode / reference["decode"], 3),
        "prefill_tokens_per_second": round(prefill),
        "bare_prefill_tokens_per_second": round(chunk["prefill"]),
        "prefill_share_of_bare": round(prefill / chunk["prefill"], 3),
    }


def measure(
    loaded: LoadedModel, step: str, annotations: Sequence[Annotation], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure one step in all three ways."""
    wanted = prompts_of(step, annotations)
    part = wanted[: options.plain_texts]
    half = -(-len(part) // 2 // options.plain_batch) * options.plain_batch
    rates = {"published": Rate(), "stop_strings": Rate()}
    for way, rate in rates.items():
        plain(loaded, part[:half], options.plain_batch, rate, published=way == "published")
    found, clock = engine(loaded, wanted, options.batch_size)
    for way, rate in rates.items():
        plain(loaded, part[half:], options.plain_batch, rate, published=way == "published")
    result: dict[str, Any] = {"engine": found.figures()}
    for way, rate in rates.items():
        result[way] = rate.figures()
        result[f"times_{way}"] = round(found.texts_per_second / rate.texts_per_second, 2)
    if step == "counterfactual":
        result["engine_time"] = breakdown(loaded, found, clock)
    return result


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--annotations", type=Path, help="annotations file; the mini task if unset")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--plain-batch", type=int, default=16)
    parser.add_argument("--plain-texts", type=int, default=64, help="texts of each plain way")
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    dtype = resolve_precision(options.precision)
    loaded = load_model(options.model, dtype)
    loaded.tokenizer.padding_side = "left"
    annotations = questions(options.annotations, options.questions)
    result: dict[str, Any] = {
        "machine": machine().model_dump(mode="json"),
        "versions": versions(),
        "model": options.model,
        "precision": precision_name(dtype),
        "threads": torch.get_num_threads(),
        "questions": len(annotations),
        "batch_size": options.batch_size,
        "plain_batch_size": options.plain_batch,
        "steps": {},
    }
    for step in options.steps:
        result["steps"][step] = measure(loaded, step, annotations, options)
        print(step, result["steps"][step], flush=True)
        write_json(options.out, result)


if __name__ == "__main__":
    main()
