"""What the paper sums of docs/scale.md start from: the store, the driver's memory and speed, Ray.

``python benchmarks/scale.py`` writes benchmarks/results/scale.json; ``--only`` measures one part:

- store: texts a second that one process appends, bytes a line, memory a text, seconds to open;
- memory: peak memory of an annotation run for each example, all steps, seven shots, five choices;
- driver: texts a second that one driver takes from two workers on Ray that replay recorded texts;
- workers: two workers on Ray with one thread each against one local process with two threads, the
  embedded model, counterfactual prompts with seven shots; both ways twice, in turn.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from distilwhy.config import BackendSettings, TeachingSettings
from distilwhy.environment import machine, versions
from distilwhy.files import read_json, write_json
from distilwhy.generators.base import Decoding, Generated, Generator
from distilwhy.generators.open import open_generator
from distilwhy.generators.recorded import StoredText, text_key
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example
from distilwhy.tasks import load_task
from distilwhy.teaching.annotate import annotate
from distilwhy.teaching.ledger import Tokens
from distilwhy.teaching.spending import Spending, Terms
from distilwhy.teaching.steps import Asking, counterfactual_prompt
from distilwhy.teaching.store import TextStore

RESULTS = Path(__file__).parent / "results" / "scale.json"
TEXT = (
    " A cellar is cool and dark all year, which slows the changes that spoil wine, and its bottles "
    "can lie there untouched for as long as they need, so it fits the question well.\n"
)
NAME = "hf:Qwen/Qwen3-4B-Instruct-2507"
EMPTY_PREFIX = "Question: What is kept in a cellar?\nExplanation: Wine is kept there.\n\n" * 40


def resident_mb() -> float:
    """Return this process's resident memory in MiB."""
    return float(psutil.Process().memory_info().rss / 2**20)


def row(prompt: str, decoding: Decoding, number: int) -> StoredText:
    """Return a text as it is stored."""
    return StoredText(
        key=text_key(prompt, NAME, decoding),
        teacher=NAME,
        step="counterfactual",
        example=f"q{number:08}",
        text=TEXT,
        finish="stop",
        prompt_tokens=800,
        completion_tokens=40,
    )


def store(folder: Path, number: int = 200_000) -> dict[str, Any]:
    """Append texts, with and without a budget's bookkeeping, and open the store again."""
    path, rows = folder / "a.jsonl", [row(str(n), Decoding(), n) for n in range(number)]
    before = resident_mb()
    with TextStore(path) as texts:
        start = time.perf_counter()
        for text in rows[: number // 2]:
            texts.append(text)
        bare = time.perf_counter() - start
        memory = resident_mb() - before
        spending = Spending(texts, Terms())
        start = time.perf_counter()
        for text in rows[number // 2 :]:
            ticket = spending.take(Tokens(900, 96))
            assert ticket is not None
            texts.append(text)
            spending.settle(ticket, text.step, Generated(TEXT, "stop", 800, 40))
        counted = time.perf_counter() - start
    start = time.perf_counter()
    with TextStore(path):
        opened = time.perf_counter() - start
    return {
        "texts": number,
        "appended_per_second": round(number / 2 / bare),
        "appended_and_counted_per_second": round(number / 2 / counted),
        "characters_a_text": len(TEXT),
        "bytes_a_line": round(path.stat().st_size / number),
        "memory_bytes_a_text": round(memory * 2**20 / (number / 2)),
        "seconds_to_open_a_million": round(opened / number * 1e6, 1),
    }


def annotated(number: int, pipe: Any) -> None:
    """Annotate so many examples and send the peak memory, in MiB."""
    examples = [
        Example(
            id=f"q{n:08}",
            question=f"What would you most likely find in place number {n} of a long list?",
            choices=("a table", "a river", "a market", "a mountain", "a library"),
            answer="a market",
        )
        for n in range(number)
    ]
    teacher = ScriptedGenerator(lambda prompt: TEXT)
    with tempfile.TemporaryDirectory() as folder:
        annotate(examples, teacher, TeachingSettings(), seed=0, store_path=Path(folder) / "s.jsonl")
    pipe.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(teacher.calls)))


def memory(few: int = 500, many: int = 4_500) -> dict[str, Any]:
    """Return the memory that each further example takes at the peak."""
    context = multiprocessing.get_context("spawn")
    found = []
    for number in (few, many):
        here, there = context.Pipe()
        process = context.Process(target=annotated, args=(number, there))
        process.start()
        found.append(here.recv())
        process.join()
    (low, _), (high, texts) = found
    return {
        "examples": [few, many],
        "peak_mb": [round(low), round(high)],
        "texts_an_example": round(texts / many, 2),
        "kb_an_example": round((high - low) * 1024 / (many - few), 1),
    }


def timed(generator: Generator, prompts: list[str], decoding: Decoding) -> float:
    """Return texts a second."""
    start = time.perf_counter()
    done = sum(1 for _ in generator.generate(prompts, decoding))
    assert done == len(prompts)
    return done / (time.perf_counter() - start)


def on_ray(model: str, **more: Any) -> Generator:
    """Return a generator with two workers."""
    values = {"engine": "ray", "ray": {"workers": 2}, **more}
    return open_generator(model, BackendSettings.model_validate(values))


def driver(folder: Path, number: int = 20_000) -> dict[str, Any]:
    """Have two workers replay texts, so that all the work is to pass prompts and texts on."""
    prompts, decoding = [f"{EMPTY_PREFIX}{n}" for n in range(number)], Decoding()
    with TextStore(folder / "recorded.jsonl") as texts:
        for n, prompt in enumerate(prompts):
            texts.append(row(prompt, decoding, n))
    model = f"recorded:{folder / 'recorded.jsonl'}"
    generator = on_ray(model, batch_size=64)
    timed(generator, prompts[:100], decoding)
    cpu = time.process_time()
    rate = timed(generator, prompts, decoding)
    cpu = time.process_time() - cpu
    generator.close()  # type: ignore[attr-defined]
    plain = timed(open_generator(model), prompts, decoding)
    return {
        "texts": number,
        "characters_a_prompt": len(prompts[0]),
        "per_second": round(rate),
        "driver_processor_ms_a_text": round(1000 * cpu / number, 3),
        "replayed_without_ray_per_second": round(plain),
    }


def workers(questions: int = 20) -> dict[str, Any]:
    """Compare two workers of one thread with one process of two threads."""
    import torch

    torch.set_num_threads(2)
    examples = load_task("mini").load("train", questions, 0)
    asking = Asking(load_prompts(examples[0].family), TeachingSettings(), 0)
    wanted = [counterfactual_prompt(e, c, asking) for e in examples for c in e.wrong_choices]
    prompts = [w.prompt for w in sorted(wanted, key=lambda w: (w.prefix, len(w.prompt)))]
    decoding, rates = asking.decoding(), {"local": [], "ray": []}  # type: ignore[var-annotated]
    local = open_generator("embedded", BackendSettings(precision="bf16"))
    ray = on_ray("embedded", precision="bf16")
    for generator in (local, ray):
        timed(generator, prompts[:8], decoding)  # both are open now
    for _ in range(2):
        rates["local"].append(round(timed(local, prompts, decoding), 2))
        rates["ray"].append(round(timed(ray, prompts, decoding), 2))
    ray.close()  # type: ignore[attr-defined]
    return {
        "prompts": len(prompts),
        "texts_per_second": rates,
        "ray_over_local": round(sum(rates["ray"]) / sum(rates["local"]), 2),
        "others_load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure and write the result; parts that are not measured stay as they were."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "store": lambda: store(folder),
            "memory": memory,
            "driver": lambda: driver(folder),
            "workers": workers,
        }
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--only", choices=parts)
        parser.add_argument("--out", type=Path, default=RESULTS)
        options = parser.parse_args()
        result = read_json(options.out) if options.only and options.out.is_file() else {}
        result |= {"machine": machine().model_dump(mode="json"), "versions": versions()}
        for part in [options.only] if options.only else parts:
            result[part] = parts[part]()
            print(json.dumps({part: result[part]}, indent=2), flush=True)
    write_json(options.out, result)


if __name__ == "__main__":
    main()
