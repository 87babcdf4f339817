"""Speed and memory of training against the two published ways, side by side in one run.

    python benchmarks/training.py [--annotations annotations.jsonl] [--students smollm2 t5-base]

The published ways, rebuilt from their description on the Hugging Face Trainer, with one forward
pass a view and logits at every position:

- encoder-decoder: each row padded to the longest of its 1,000-row chunk, cut at 300 tokens, with
  gradient checkpointing;
- decoder-only: rows padded to the longest of the batch, no checkpointing.

Both sides have the same model, examples, batch, precision and optimiser, and neither counts padding
or sources in the loss, so that their losses can be compared: in fp32 they must be equal to 1e-5.
Rows have the length statistics of the CommonsenseQA annotations published with the paper, or are
those of an annotations file. Every measurement is a process of its own, and the ways take turns, so
that a machine that drifts favours none. The result is written to benchmarks/results/training.json.

With ``--tag end`` it is our way with one encoding of the question for all its views that is
compared, with the published way and with our own default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from training_runs import CONDITIONS, STUDENTS, Plan, measure

from distilwhy.environment import machine, versions
from distilwhy.files import write_json

RESULTS = Path(__file__).parent / "results" / "training.json"
LARGEST_DIFFERENCE = 1e-5
"""Largest relative difference of a step's loss between the two ways in fp32."""


def run_script(script: str, *arguments: str) -> dict[str, Any]:
    """Return what a script measures in a process of its own: its last line, as JSON."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments}\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_child(plan: Plan) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    return run_script(__file__, "--plan", json.dumps(plan.as_dict()))


def compare(baseline: Plan, ours: Plan, rounds: int) -> dict[str, Any]:
    """Measure two ways in turns and return medians, ratios and the largest difference of losses.

    Where our way has its tags at the end, our default is measured in turn with them; its rows are
    those of the published way, whose losses are compared with it.
    """
    turns = [baseline, ours]
    if ours.tag == "end":
        turns.append(replace(ours, settings={**(ours.settings or {}), "tag": "front"}))
    measured = [[run_child(plan) for plan in turns] for _ in range(rounds)]
    pairs = [(first, second) for first, second, *_ in measured]
    before, after = measured[0][0], measured[0][-1]
    differences = [
        abs(one - other) / abs(one)
        for one, other in zip(before["losses"], after["losses"], strict=True)
    ]
    result: dict[str, Any] = {
        "student": ours.student,
        "condition": ours.condition,
        "precision": ours.precision,
        "baseline_precision": baseline.precision,
        "batch_size": ours.batch_size,
        "checkpointing": [baseline.checkpointing, ours.checkpointing],
        "settings": ours.settings or {},
        "rounds": rounds,
        "speedup": median(b["examples_per_second"] / a["examples_per_second"] for a, b in pairs),
        "speedups": [b["examples_per_second"] / a["examples_per_second"] for a, b in pairs],
        "memory_share": median(b["peak_memory_mb"] / a["peak_memory_mb"] for a, b in pairs),
        "largest_loss_difference": max(differences),
        "baseline": _medians([a for a, _ in pairs]),
        "distilwhy": _medians([b for _, b in pairs]),
    }
    if ours.tag == "end":
        result["default"] = _medians([default for _, _, default in measured])
        result["speedup_over_default"] = median(
            b["examples_per_second"] / c["examples_per_second"] for _, b, c in measured
        )
    if ours.precision == baseline.precision == "fp32":
        assert max(differences) < LARGEST_DIFFERENCE, differences
    return result


def _medians(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    names = [name for name, value in runs[0].items() if isinstance(value, int | float)]
    return {name: median(run[name] for run in runs) for name in names}


def show(result: dict[str, Any]) -> None:
    """Print one comparison as a line."""
    before, after = result["baseline"], result["distilwhy"]
    print(
        f"{result['student']:8} {result['condition']:34} {result['precision']} "
        f"checkpointing {result['checkpointing']}: {before['examples_per_second']:.2f} -> "
        f"{after['examples_per_second']:.2f} examples/s, {result['speedup']:.2f}x; memory "
        f"{before['peak_memory_mb']:.0f} -> {after['peak_memory_mb']:.0f} MiB, "
        f"{result['memory_share']:.0%}; {after['peak_share']:.0%} of the matrix-product peak "
        f"(baseline {before['peak_share']:.0%}); padding {after['padding_share']:.1%} "
        f"(baseline {before['padding_share']:.1%}); loss differs by "
        f"{result['largest_loss_difference']:.1e}"
        + (
            f"; {result['speedup_over_default']:.2f}x our default's "
            f"{result['default']['examples_per_second']:.2f} examples/s"
            if "default" in result
            else ""
        ),
        flush=True,
    )


SAME = ("student", "condition", "precision", "batch_size", "checkpointing", "settings")


def add(path: Path, result: dict[str, Any]) -> None:
    """Write a comparison beside those of other plans that were measured on the same machine."""
    document: dict[str, Any] = {"machine": machine().model_dump(), "versions": versions()}
    old = json.loads(path.read_text()) if path.exists() else {}
    kept = old["results"] if {**old, "results": None} == {**document, "results": None} else []
    others = [r for r in kept if any(r[name] != result[name] for name in SAME)]
    write_json(path, {**document, "results": [*others, result]})


def main() -> None:
    """Measure what was asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    parser.add_argument("--students", nargs="+", choices=list(STUDENTS), default=list(STUDENTS))
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS))
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "bf16"], default=["fp32"])
    parser.add_argument("--annotations", type=Path, help="real rows, from an annotations file")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6, help="timed steps a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--first", action="store_true", help="only as published, not with equal checkpointing"
    )
    parser.add_argument("--compile", action="store_true", help="our way's layers compiled")
    parser.add_argument("--tag", choices=["front", "end"], default="front")
    parser.add_argument("--out", type=Path, default=RESULTS, help="is added to")
    args = parser.parse_args()
    if args.plan:
        print(json.dumps(measure(Plan(**json.loads(args.plan)))))
        return
    settings = {"compile": True} if args.compile else {}
    settings |= {"tag": args.tag} if args.tag != "front" else {}
    for student in args.students:
        for condition in args.conditions or CONDITIONS:
            for precision in args.precisions:
                pairs = STUDENTS[student].checkpointing
                for baseline_checks, checks in pairs[:1] if args.first else pairs:
                    plans = [
                        Plan(
                            way=way,
                            student=student,
                            condition=condition,
                            precision=precision,
                            checkpointing=recompute,
                            batch_size=args.batch_size,
                            steps=args.steps,
                            annotations=args.annotations and str(args.annotations),
                            settings=settings if way == "distilwhy" else None,
                        )
                        for way, recompute in (
                            ("published", baseline_checks),
                            ("distilwhy", checks),
                        )
                    ]
                    result = compare(plans[0], plans[1], args.rounds)
                    show(result)
                    add(args.out, result)


if __name__ == "__main__":
    main()
