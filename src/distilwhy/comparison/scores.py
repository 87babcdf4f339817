"""Which test questions each run answered rightly, where its predictions lie beside its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distilwhy.comparison.runs import Run
from distilwhy.errors import DataError, Fault, raise_faults
from distilwhy.evaluation.accuracy import check_predictions
from distilwhy.files import read_records
from distilwhy.records import Prediction
from distilwhy.tasks.answers import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray


def question_scores(runs: Sequence[Run]) -> tuple[NDArray[Any] | None, str]:
    """Read whether each run answered each test question rightly.

    Args:
        runs: All runs of the comparison.

    Returns:
        Runs by questions, ones and zeros, or ``None`` with the reason why not.

    Raises:
        DataError: When a predictions file cannot be scored, or does not match its run.
    """
    import numpy as np

    without = [run for run in runs if run.predictions is None]
    if len(without) == len(runs):
        return None, "there are no predictions beside the accuracies"
    if without:
        return None, f"{len(without)} of {len(runs)} runs have no predictions beside them"
    faults = []
    rows: list[dict[tuple[str, str], bool]] = []
    for run in runs:
        if run.predictions is None:
            continue
        predictions = read_records(run.predictions, Prediction)
        check_predictions(predictions, str(run.predictions))
        # A question of the same name with another right answer is another question.
        row = {(p.example.id, normalise(p.example.answer or "")): p.correct for p in predictions}
        share = sum(row.values()) / len(row)
        if abs(share - run.accuracy) > 1e-9:
            what = f"accuracy {run.accuracy:.4f}, but the predictions beside it have {share:.4f}"
            faults.append(Fault(run.place, what))
        rows.append(row)
    raise_faults(
        DataError, "The comparison", faults, "Evaluate the predictions anew: distilwhy evaluate."
    )
    questions = list(rows[0])
    if any(row.keys() != rows[0].keys() for row in rows):
        return None, "the runs were asked different test questions"
    return np.asarray([[float(row[question]) for question in questions] for row in rows]), ""
