"""What lies beside an output: costs, outcome, the store of texts, rejected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distilwhy.files import read_json, write_json, write_records
from distilwhy.progress import say
from distilwhy.records import Example, PredictionSummary, Record, TrainingSummary
from distilwhy.tasks.rows import Reject, write_rejects
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.gates import FlagCounts
from distilwhy.teaching.outcome import Outcome
from distilwhy.teaching.refusals import refused_path

if TYPE_CHECKING:
    from distilwhy.inference.predict import Predicted


class Costs(Record):
    """What lies beside a predictions file: what training and prediction cost."""

    prediction: PredictionSummary | None = None
    training: TrainingSummary | None = None


def store_path(output: Path) -> Path:
    """Return where the teacher's raw texts of an annotations or predictions file lie."""
    return output.with_name(f"{output.stem}.texts.jsonl")


def has_refused(output: Path) -> bool:
    """Return whether an output lacks texts that the teacher refused, and may give another time."""
    return refused_path(store_path(output)).is_file()


def cost_path(annotations: Path) -> Path:
    """Return where the teacher's cost of an annotations file lies."""
    return annotations.with_name(f"{annotations.stem}.cost.json")


def costs_path(predictions: Path) -> Path:
    """Return where the costs of a predictions file lie."""
    return predictions.with_name(f"{predictions.stem}.costs.json")


def rejects_path(output: Path) -> Path:
    """Return the folder of rejected rows of an output's task."""
    return output.with_name("rejects")


def read_costs(predictions: Path) -> Costs:
    """Return what a predictions file cost; empty for predictions from elsewhere."""
    path = costs_path(predictions)
    return Costs.model_validate(read_json(path)) if path.is_file() else Costs()


def read_cost(annotations: Path) -> TeachingCost | None:
    """Return what the teacher cost, or ``None`` for annotations from elsewhere."""
    path = cost_path(annotations)
    return TeachingCost.model_validate(read_json(path)) if path.is_file() else None


def outcome_path(annotations: Path) -> Path:
    """Return where what the methods of generation brought lies."""
    return annotations.with_name(f"{annotations.stem}.outcome.json")


def read_outcome(annotations: Path) -> Outcome | None:
    """Return what the methods brought, or ``None`` for annotations from elsewhere."""
    path = outcome_path(annotations)
    return Outcome.model_validate(read_json(path)) if path.is_file() else None


def write_outcome(annotations: Path, outcome: Outcome, unlabelled: Sequence[Example]) -> None:
    """Write what the methods brought, and which examples the teacher gave no label.

    Args:
        annotations: The annotations file that both belong to.
        outcome: What the methods brought.
        unlabelled: Examples left out of the annotations.
    """
    write_json(outcome_path(annotations), outcome.model_dump(mode="json", exclude_none=True))
    if unlabelled:
        path = rejects_path(annotations) / f"{annotations.stem}-unlabelled.jsonl"
        reason = "no answer of the teacher names a choice"
        rejects = [Reject(e.id, reason, e.model_dump(mode="json")) for e in unlabelled]
        write_rejects(path, rejects)
        say(f"Examples left out because they have no label: {len(unlabelled)}; see {path}.")


def tell_empty(counts: Mapping[str, FlagCounts]) -> None:
    """Say where most of the teacher's texts are empty, and what that mostly comes from.

    Args:
        counts: By step, how many texts failed each gate.
    """
    most = [
        f"{empty:,} of {count.n:,} {step}"
        for step, count in counts.items()
        if 2 * (empty := count.flags.get("empty", 0)) > count.n
    ]
    if most:
        say(
            f"Most texts are empty: {', '.join(most)}. A model that thinks first needs a higher "
            "max_new_tokens, many chat models chat: true."
        )


def write_predictions(out: Path, predicted: Predicted, training: Path | None) -> None:
    """Write predictions, and their costs beside them.

    Args:
        out: The predictions file.
        predicted: The predictions and what they cost.
        training: The student's ``training.json``; ``None`` for other predictors.
    """
    costs = Costs(
        prediction=predicted.summary,
        training=TrainingSummary.model_validate(read_json(training)) if training else None,
    )
    write_json(costs_path(out), costs.model_dump(mode="json"))
    write_records(out, predicted.predictions)
