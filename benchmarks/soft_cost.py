"""What soft labels cost: time and memory of a step, against the hard loss alone in the same run.

    python benchmarks/soft_cost.py [--rounds 2] [--steps 6]

SmolLM2-135M learns multitask from the shipped worked examples, eight a step, from itself as a
few-shot teacher that is told the answer. Every measurement is a process of its own, and the ways
take turns. Written to benchmarks/results/soft_cost.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from soft_labels import SHOTS, annotations

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.environment import machine, versions
from distilwhy.files import write_json
from distilwhy.training.train import train
from training import run_script

RESULTS = Path(__file__).parent / "results" / "soft_cost.json"
TEACHER: dict[str, Any] = {
    "teacher": "embedded",
    "context": "few_shot",
    "gold_answer": True,
    "shots": SHOTS,
    "views": ["explain"],
}
WAYS: dict[str, dict[str, Any] | None] = {
    "hard loss alone": None,
    "stored, top_k 64": {**TEACHER, "top_k": 64},
    "teacher at every step": TEACHER,
    "teacher at every step, uld": {**TEACHER, "loss": "uld"},
    "on-policy": {**TEACHER, "loss": "reverse_kl", "on_policy": 1.0},
}


def measure(way: str, steps: int) -> dict[str, float]:
    """Train for some steps and return examples a second, the time around them and peak memory."""
    settings = TrainingSettings(max_steps=steps, batch_size=8, precision="fp32", held_out=0.0)
    condition = Condition(method="multitask", data="unrevised", soft=WAYS[way])
    student = StudentSettings(model="embedded")
    with tempfile.TemporaryDirectory() as folder:
        root, start = Path(folder), time.monotonic()
        summary = train(
            annotations(), student, condition, settings, root / "student", root / "soft-labels"
        )
        whole = time.monotonic() - start
    return {
        "examples_per_second": 8 * steps / summary.seconds,
        "around_seconds": whole - summary.seconds,
        "peak_memory_mb": float(summary.peak_memory_mb or 0),
    }


def run_child(way: str, steps: int) -> dict[str, float]:
    """Measure one way in a process of its own."""
    return run_script(__file__, "--way", way, "--steps", str(steps))


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, args.steps)))
        return
    rounds = [{way: run_child(way, args.steps) for way in WAYS} for _ in range(args.rounds)]
    first = next(iter(WAYS))
    rows = [
        {
            "way": way,
            **{name: median(r[way][name] for r in rounds) for name in rounds[0][way]},
            "time_ratio": median(
                r[first]["examples_per_second"] / r[way]["examples_per_second"] for r in rounds
            ),
        }
        for way in WAYS
    ]
    write_json(RESULTS, {"rows": rows, "machine": machine().model_dump(), "versions": versions()})
    print("| way | examples a second | time of a step | seconds around the steps | peak MiB |")
    print("| --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row['way']} | {row['examples_per_second']:.2f} | {row['time_ratio']:.2f}x "
            f"| {row['around_seconds']:.0f} | {row['peak_memory_mb']:,.0f} |"
        )


if __name__ == "__main__":
    main()
