"""Prints the tables of docs/results.md from the folder of a run.

    python benchmarks/results_table.py runs/commonsense_qa

Only figures and the students' own texts are printed, never the questions: those are not ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

from distilwhy.config import load_experiment
from distilwhy.evaluation.metrics import Metrics
from distilwhy.evaluation.paired import mcnemar
from distilwhy.files import read_records
from distilwhy.pipeline import stages
from distilwhy.pipeline.cells import Cell, cells_of, entry_name
from distilwhy.records import Prediction

SAMPLES = 3


def main(folder: Path) -> None:
    """Print all tables of a run; cells that are not done are left out."""
    experiment = load_experiment(folder / "experiment.yaml")
    cells = [cell for cell in cells_of(experiment, folder) if cell.predictions.is_file()]
    names = {cell.folder: entry_name(cell, cells) for cell in cells}
    predictions = {cell.folder: read_records(cell.predictions, Prediction) for cell in cells}
    print("| condition | accuracy | 95 % interval | unparsed | words | names a distractor | own |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for cell in cells:
        print(accuracy_row(names[cell.folder], stages.evaluate(cell.predictions)))
    for path in sorted((folder / "baselines").glob("*.jsonl")):
        print(accuracy_row(f"*{path.stem} baseline*", stages.evaluate(path)))
    print("\n| condition | steps | train min | tokens/s | padding | peak GiB | predict s | dtype |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for cell in cells:
        print(cost_row(names[cell.folder], stages.evaluate(cell.predictions)))
    print("\n| pair | difference, points | 95 % interval | McNemar p |")
    print("| --- | --- | --- | --- |")
    for place, first in enumerate(cells):
        for second in cells[place + 1 :]:
            paired = mcnemar(predictions[first.folder], predictions[second.folder])
            print(
                f"| {names[first.folder]} - {names[second.folder]} | {100 * paired.difference:+.1f}"
                f" | {100 * paired.ci_low:+.1f} to {100 * paired.ci_high:+.1f} | {paired.p:.3f} |"
            )
    for cell in cells:
        print_samples(names[cell.folder], cell, predictions[cell.folder])


def accuracy_row(name: str, metrics: Metrics) -> str:
    """Return a predictor's accuracy and explanation figures as a table row."""
    texts = metrics.explanations
    words = f"{texts.words_mean:.1f} ± {texts.words_sd:.1f}" if texts else "-"
    named = f"{texts.distractor_mentions or 0:.2f}" if texts else "-"
    other = f"{100 * (1 - (texts.states_other_answer or 0)):.1f} %" if texts else "-"
    return (
        f"| {name} | {100 * metrics.accuracy:.1f} % | {100 * metrics.ci_low:.1f} to "
        f"{100 * metrics.ci_high:.1f} | {metrics.unparsed} of {metrics.n} | {words} | {named} "
        f"| {other} |"
    )


def cost_row(name: str, metrics: Metrics) -> str:
    """Return what a student cost as a table row."""
    training, prediction = metrics.training, metrics.prediction
    if training is None or prediction is None:
        return f"| {name} | - | - | - | - | - | - | - |"
    return (
        f"| {name} | {training.steps} | {training.seconds / 60:.1f} | "
        f"{training.tokens_per_second:.0f} | {100 * training.padding_share:.1f} % | "
        f"{training.peak_memory_mb / 1024:.1f} | {prediction.seconds:.0f} | {training.precision} |"
    )


def print_samples(name: str, cell: Cell, predictions: list[Prediction]) -> None:
    """Print a student's answers and reasons to the first test questions."""
    print(f"\n{name}:\n")
    for number, prediction in enumerate(predictions[:SAMPLES], 1):
        mark = "right" if prediction.correct else "wrong"
        print(f"{number}. *{prediction.answer}* ({mark}). {prediction.rationale or 'No reason.'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
