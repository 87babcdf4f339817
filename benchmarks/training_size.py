"""Cost of training against its size: 1, 2, 4 and 8 times the rows, and students of three sizes.

    python benchmarks/training_size.py

Multitask training on unrevised data with default settings. Every point is a process of its own.
Time must grow as rows and parameters do, and memory with parameters only. The result is written to
benchmarks/results/training_size.json and, as a figure, to training_size.svg beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import altair as alt
from training_runs import SIZES, Plan

from distilwhy.environment import machine, versions
from distilwhy.files import read_json, write_json
from training import run_child

RESULTS = Path(__file__).parent / "results" / "training_size.json"
STEPS = (4, 8, 16, 32)
BATCH_SIZE = 8


def point(student: str, steps: int) -> dict[str, Any]:
    """Train a student for so many steps and return what it cost."""
    plan = Plan("distilwhy", student, "multitask : unrevised", "fp32", False, BATCH_SIZE, steps)
    result = run_child(plan)
    print(f"{student} {steps * BATCH_SIZE} examples: {result['seconds']:.1f} s", flush=True)
    return {
        "student": student,
        "parameters": result["parameters"],
        "examples": steps * BATCH_SIZE,
        "seconds": result["seconds"],
        "peak_memory_mb": result["peak_memory_mb"],
    }


def figure(points: list[dict[str, Any]]) -> alt.HConcatChart:
    """Return time against examples, and memory against examples, a line a student."""

    def chart(field: str, title: str) -> alt.Chart:
        x = alt.X("examples:Q", title="examples", scale=alt.Scale(type="log", base=2))
        y = alt.Y(f"{field}:Q", title=title, scale=alt.Scale(type="log", base=2))
        colour = alt.Color("student:N", sort=list(SIZES), title="parameters")
        marks = alt.Chart(alt.Data(values=points)).mark_line(point=True)
        return marks.encode(x=x, y=y, color=colour).properties(width=280, height=240)

    return chart("seconds", "seconds") | chart("peak_memory_mb", "peak memory, MiB")


def main() -> None:
    """Measure all points, or only draw those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draw", action="store_true", help="only draw the stored result")
    args = parser.parse_args()
    if not args.draw:
        points = [point(student, steps) for student in SIZES for steps in STEPS]
        document = {"machine": machine().model_dump(), "versions": versions(), "points": points}
        write_json(RESULTS, document)
    figure(read_json(RESULTS)["points"]).save(RESULTS.with_suffix(".svg"))


if __name__ == "__main__":
    main()
