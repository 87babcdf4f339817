"""A judge's preferences as tables of text or LaTeX, and what a reader must know beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from distilwhy.grids import Grid
from distilwhy.judging.preference import ConstructPreferences, Preferences
from distilwhy.statistics.paired_comparisons import Estimate

NONE = "-"


def render(preferences: Preferences, form: Literal["text", "latex"] = "text") -> str:
    """Return preferences as tables.

    Args:
        preferences: The preferences.
        form: As aligned text, or as LaTeX for a paper (rules of booktabs).
    """
    latex = form == "latex"
    said = "\n".join(remarks(preferences))
    if latex:
        # As a comment, so that the whole can be read in by \input.
        said = "\n".join(f"% {line}" for line in said.split("\n"))
    grids = (pair_grid(preferences), strength_grid(preferences))
    return "\n\n".join([*(grid.latex() if latex else grid.text() for grid in grids), said])


def pair_grid(preferences: Preferences) -> Grid:
    """Return how often each predictor was preferred, by construct and pair."""
    rows = tuple(
        (name, pair.first, pair.second, *map(str, counts))
        for name, found in preferences.constructs.items()
        for pair in found.pairs
        for counts in ((pair.wins, pair.losses, pair.ties, pair.unreadable),)
    )
    head = ("Construct", "A", "B", "A preferred", "B preferred", "Ties", "Unreadable")
    note = "Preferred: in both orders; what is not is a tie. Unreadable ones do not count."
    return Grid(f"Preferences of {preferences.judge}", head, rows, 3, note)


def strength_grid(preferences: Preferences) -> Grid:
    """Return Bradley-Terry strengths, raw and length-adjusted, by construct and predictor."""
    interval = "95 % interval"
    head = ("Construct", "Predictor", "Strength", interval, "Length-adjusted", interval)
    rows = []
    for name, found in preferences.constructs.items():
        for predictor in predictors(found):
            cells = [
                cell
                for strengths in (found.raw, found.length_adjusted)
                for cell in _cells(strengths.strengths.get(predictor))
            ]
            rows.append((name, predictor, *cells))
    note = "In log odds; they sum to zero. " + " ".join(missing(preferences))
    return Grid("Bradley-Terry strengths", head, tuple(rows), 2, note.strip())


def predictors(found: ConstructPreferences) -> list[str]:
    """Return the predictors that were compared, in the order given."""
    return list(dict.fromkeys(name for pair in found.pairs for name in (pair.first, pair.second)))


def missing(preferences: Preferences) -> Iterator[str]:
    """Yield why strengths are missing, a sentence for each reason."""
    told: dict[tuple[str, str], list[str]] = {}
    for name, found in preferences.constructs.items():
        for kind, strengths in (("", found.raw), ("length-adjusted ", found.length_adjusted)):
            if strengths.reason is not None:
                told.setdefault((kind, strengths.reason), []).append(name)
    for (kind, reason), names in told.items():
        yield f"No {kind}strengths of {', '.join(names)}: {reason}."


def remarks(preferences: Preferences) -> Iterator[str]:
    """Yield what a reader must know of the judge, a sentence each."""
    yield from preferences.warnings
    text = f"{preferences.verdicts:,} verdicts, {preferences.unreadable:,} of them unreadable"
    if preferences.unreadable_text is not None:
        text += f", e.g. {preferences.unreadable_text}"
    yield f"{text}."
    share = preferences.first_share
    if share is not None:
        yield (
            f"What was shown first was preferred in {share:.1%} of the verdicts that prefer one; "
            "50 % is no bias of position."
        )


def _cells(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return NONE, NONE
    if estimate.ci_low is None or estimate.ci_high is None:
        return f"{estimate.value:.2f}", NONE
    return f"{estimate.value:.2f}", f"{estimate.ci_low:.2f} to {estimate.ci_high:.2f}"
