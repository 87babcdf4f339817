"""The robust analysis: permutation tests, bootstrap intervals, effect sizes, power."""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.comparison.conclusions import Conclusion, Family, robust_conclusion
from distilwhy.comparison.intervals import Side
from distilwhy.comparison.pairs import PairResult, family_of, pair_results
from distilwhy.comparison.runs import COLLAPSE_RULE, Run, RunSet
from distilwhy.comparison.scores import question_scores
from distilwhy.errors import DataError
from distilwhy.records import Record
from distilwhy.statistics.resampling import resampled_means


class CollapsedRun(Record):
    """A run that brought no useful student.

    Args:
        condition: The condition.
        size: The student's size.
        run: The run's name.
        accuracy: Its accuracy, a share.
        why: What shows it.
    """

    condition: str
    size: str
    run: str
    accuracy: float
    why: tuple[str, ...]


class RobustAnalysis(Record):
    """The robust analysis of one selection of runs.

    Args:
        intervals_over: What intervals are over: seeds, and test questions where predictions are
            known; questions alone where there is one seed.
        why_not_questions: Why not over test questions; ``None`` where they are.
        family: The tests that Holm's correction is for.
        pairs: All pairs of conditions, for each size.
        conclusions: What they allow to be said, in the same order.
        collapsed: Runs that brought no useful student; they are counted here.
        collapse_rule: What counts as collapsed.
        without_collapsed: The same analysis without them; ``None`` where there are none, or too few
            runs are left.
    """

    intervals_over: str
    why_not_questions: str | None = None
    family: Family
    pairs: tuple[PairResult, ...]
    conclusions: tuple[Conclusion, ...] = ()
    collapsed: tuple[CollapsedRun, ...] = ()
    collapse_rule: str
    without_collapsed: RobustAnalysis | None = None


def robust_analysis(runs: RunSet, *, unpaired: bool = False, seed: int = 0) -> RobustAnalysis:
    """Compare all conditions of each size by methods that assume little.

    Args:
        runs: All runs.
        unpaired: Whether runs of equal name are taken as independent of each other.
        seed: Seed of all draws.

    Raises:
        DataError: When no size has runs of two conditions, or predictions cannot be scored.
    """
    if len(runs.conditions) < 2:
        raise DataError(
            f"All {len(runs.runs)} runs are of one condition, {runs.conditions[0]}: there is "
            "nothing to compare.",
            "Give runs of another condition too.",
        )
    scores, why_not = question_scores(runs.runs)
    drawn = None if scores is None else resampled_means(scores, seed)
    places = {(run.condition, run.size, run.run): place for place, run in enumerate(runs.runs)}

    def side(chosen: Sequence[Run]) -> Side:
        rows = [places[run.condition, run.size, run.run] for run in chosen]
        return Side([run.accuracy for run in chosen], None if drawn is None else drawn[rows])

    rule = COLLAPSE_RULE if runs.origin == "tables" else "metrics.json names what shows it"

    def analyse(chosen: RunSet) -> RobustAnalysis | None:
        pairs = pair_results(chosen, side, unpaired, seed)
        if not pairs:
            return None
        family = family_of(pairs)
        return RobustAnalysis(
            intervals_over=" or ".join(sorted({pair.interval.over for pair in pairs})),
            why_not_questions=why_not or None,
            family=family,
            pairs=pairs,
            conclusions=tuple(robust_conclusion(pair, family) for pair in pairs),
            collapse_rule=rule,
        )

    whole = analyse(runs)
    if whole is None:
        raise DataError(
            "No size has runs of two conditions: there is nothing to compare.",
            "Give runs of another condition and the same size.",
        )
    bad = [run for run in runs.runs if run.collapsed]
    if not bad:
        return whole
    sound = analyse(runs.keep(run for run in runs.runs if not run.collapsed))
    return whole.model_copy(
        update={
            "collapsed": tuple(_collapsed(run) for run in bad),
            "without_collapsed": sound,
            "conclusions": _with_and_without(whole, sound, bad),
        }
    )


def _collapsed(run: Run) -> CollapsedRun:
    told = run.model_dump(include={"condition", "size", "run", "accuracy"})
    return CollapsedRun(**told, why=run.collapsed)


def _with_and_without(
    whole: RobustAnalysis, sound: RobustAnalysis | None, bad: Sequence[Run]
) -> tuple[Conclusion, ...]:
    """Return the conclusions, those that collapsed runs have a part in with and without them."""
    theirs = {(pair.size, pair.a, pair.b): pair for pair in (sound.pairs if sound else ())}
    cells = {(run.condition, run.size) for run in bad}
    said = []
    for pair in whole.pairs:
        touched = bool({(pair.a, pair.size), (pair.b, pair.size)} & cells)
        other = theirs.get((pair.size, pair.a, pair.b))
        if touched and sound is not None and other is not None:
            said.append(robust_conclusion(pair, whole.family, (other, sound.family)))
        else:
            said.append(robust_conclusion(pair, whole.family))
    return tuple(said)
