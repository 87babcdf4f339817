"""Tables and experiment folders of runs, made for the tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from distilwhy.comparison.run_table import COLUMNS
from distilwhy.evaluation.evaluate import evaluate
from distilwhy.files import write_json, write_records
from distilwhy.records import Example, Prediction

PLAIN, REVISED = "few-shot-positive-rationale", "few-shot-revision"
NAMED = {
    "CF": ("counterfactual-prefix", PLAIN),
    "MT": ("task-prefix", PLAIN),
    "MT+CF": ("both", PLAIN),
    "MT+CF revised": ("both", REVISED),
    "CF revised": ("counterfactual-prefix", REVISED),
    "MT revised": ("task-prefix", REVISED),
}

Row = tuple[str, str, object, object]
"""Condition, size, run, accuracy."""


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes runs as the paper's files have them."""

    def write(rows: Iterable[Row], name: str = "runs.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for condition, size, run, accuracy in rows:
                mode, target = NAMED.get(condition, (condition, PLAIN))
                writer.writerow([run, accuracy, target, size, mode])
        return path

    return write


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes cells as ``distilwhy run`` lays them out."""

    def write(
        scores: dict[tuple[str, str, int], list[int]],
        name: str = "run",
        collapsed: Iterable[tuple[str, str, int]] = (),
    ) -> Path:
        root = tmp_path / name
        for (condition, student, seed), right in scores.items():
            cell = root / "cells" / condition / student / f"seed-{seed}"
            predictions = [
                Prediction(
                    example=Example(id=f"q{n}", question="?", choices=("a", "b"), answer="a"),
                    answer="a" if hit else "b",
                )
                for n, hit in enumerate(right)
            ]
            cell.mkdir(parents=True)
            write_records(cell / "predictions.jsonl", predictions)
            metrics = json.loads(evaluate(predictions).model_dump_json())
            metrics["collapsed"] = ["no loss fell"] * ((condition, student, seed) in collapsed)
            write_json(cell / "metrics.json", metrics)
        return root

    return write
