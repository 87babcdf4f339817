"""What a comparison allows to be said in words, never more than its test supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distilwhy.records import Record

if TYPE_CHECKING:
    from distilwhy.comparison.pairs import PairResult
    from distilwhy.statistics.anova import TukeyPair

ALPHA = 0.05


class Conclusion(Record):
    """One comparison in words.

    Args:
        size: The student's size.
        a: The first condition.
        b: The second condition.
        settled: Whether the test and the interval both speak for a difference.
        text: The conclusion.
    """

    size: str
    a: str
    b: str
    settled: bool
    text: str


class Family(Record):
    """The tests that are corrected together.

    Args:
        tests: How many there are.
        smallest_p: The smallest corrected p that any data of this design could reach.
        seeds_needed: Paired seeds from which on one of so many tests could hold.
    """

    tests: int
    smallest_p: float
    seeds_needed: int


def points(share: float) -> str:
    """Return a share in percentage points, small ones with as many digits as they need."""
    text = f"{100 * share:.1f}"
    if text.strip("-0.") or share == 0:
        return text
    return f"{100 * share:.1g}" if abs(share) >= 1e-9 else "0.0"


def p_text(p: float) -> str:
    """Return a p-value as ``p = 0.034`` or, when very small, ``p < 0.001``."""
    if p < 0.001:
        return "p < 0.001"
    # Rounding must not carry a value over the level at which it is judged.
    return f"p = {p:.4f}" if 0.0495 <= p < 0.0505 else f"p = {p:.3f}"


def tukey_settled(pair: TukeyPair) -> bool:
    """Return whether Tukey's test and interval both speak for a difference."""
    if pair.p_adj is None or pair.ci_low is None or pair.ci_high is None:
        return False
    return pair.p_adj < ALPHA and not pair.ci_low <= 0 <= pair.ci_high


def tukey_conclusion(
    size: str, pair: TukeyPair, other: TukeyPair | None, other_label: str
) -> Conclusion:
    """Put one of Tukey's comparisons into words.

    Args:
        size: The student's size.
        pair: The comparison.
        other: The same comparison with another selection of runs; ``None`` where there is none.
        other_label: What the other selection is called, as the beginning of a sentence.
    """
    settled = tukey_settled(pair)
    text = f"{size}: {_tukey_words(pair, settled)}"
    if other is not None:
        text += f" {_beside(pair, settled, other, other_label)}"
    return Conclusion(size=size, a=pair.a, b=pair.b, settled=settled, text=text)


def _tukey_words(pair: TukeyPair, settled: bool) -> str:
    if pair.p_adj is None or pair.ci_low is None or pair.ci_high is None:
        return (
            f"{pair.a} against {pair.b} cannot be tested, as {pair.reason}; "
            f"{_ahead(pair.a, pair.b, pair.difference)} in these runs."
        )
    evidence = (
        f"{_interval(pair.difference, pair.ci_low, pair.ci_high)}, Tukey {p_text(pair.p_adj)}"
    )
    if settled:
        better, worse = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
        return f"{better} better than {worse} by {points(abs(pair.difference))} points, {evidence}."
    return f"not settled: {_ahead(pair.a, pair.b, pair.difference)} in these runs, {evidence}."


def _beside(pair: TukeyPair, settled: bool, other: TukeyPair, label: str) -> str:
    """Put beside a comparison what another selection of runs says of it."""
    theirs = tukey_settled(other)
    p = f", {p_text(other.p_adj)}" if other.p_adj is not None else ""
    reversed_ = pair.difference * other.difference < 0
    if reversed_:
        sign = "+" if other.difference > 0 else ""
        shown = f"({pair.a} minus {pair.b}: {sign}{points(other.difference)} points{p})"
        hangs = "the direction changes with the outliers"
    else:
        shown = f"({points(abs(other.difference))} points{p})"
        hangs = "the conclusion hangs on the outliers"
    if theirs:
        if settled and not reversed_:
            return f"{label} the same holds {shown}."
        better, worse = (other.a, other.b) if other.difference > 0 else (other.b, other.a)
        return f"{label} {better} is better than {worse} {shown}: {hangs}."
    if settled:
        return f"{label} it is not settled {shown}: {hangs}."
    if reversed_:
        return f"{label} it is not settled either {shown}: {hangs}."
    return f"{label} the same holds {shown}."


def robust_settled(pair: PairResult) -> bool:
    """Return whether the corrected p-value and the interval both speak for a difference."""
    low, high = pair.interval.low, pair.interval.high
    if pair.p_adj is None or low is None or high is None:
        return False
    return pair.p_adj < ALPHA and not low <= 0 <= high


def robust_conclusion(
    pair: PairResult, family: Family, without: tuple[PairResult, Family] | None = None
) -> Conclusion:
    """Put one comparison of the robust analysis into words.

    Args:
        pair: The comparison.
        family: The tests that are corrected together.
        without: The same without collapsed runs, and the tests corrected with it; ``None`` where
            none of its runs collapsed.
    """
    text = f"{pair.size}: {_robust_words(pair, family)}"
    if without is not None:
        text += f" Without collapsed runs: {_robust_words(*without)}"
    return Conclusion(size=pair.size, a=pair.a, b=pair.b, settled=robust_settled(pair), text=text)


def _robust_words(pair: PairResult, family: Family) -> str:
    low, high = pair.interval.low, pair.interval.high
    ahead = f"{_ahead(pair.a, pair.b, pair.difference)} in these runs"
    if low is not None and high is not None:
        ahead += f", {_interval(pair.difference, low, high)}"
        # What one run of each says of other questions must not pass for what it says of methods.
        ahead += " over questions, not seeds" if pair.interval.over == "questions" else ""
    if pair.p is None or pair.p_adj is None or pair.smallest_p is None:
        return f"not tested, as {pair.reason}; {ahead}."
    if robust_settled(pair) and low is not None and high is not None:
        better, worse = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
        return (
            f"{better} better than {worse} by {points(abs(pair.difference))} points, "
            f"{_interval(pair.difference, low, high)}; "
            f"holds after correction ({p_text(pair.p_adj)})."
        )
    if pair.smallest_p >= ALPHA:
        return (
            f"cannot be settled: with {_design(pair)} no permutation can reach p < 0.05 (the "
            f"smallest p is {pair.smallest_p:.3g}); {ahead}."
        )
    if pair.p_adj < ALPHA:
        return (
            f"not settled, as the interval does not confirm the test ({p_text(pair.p_adj)} after "
            f"correction); {ahead}."
        )
    if pair.p < ALPHA:
        return (
            f"{ahead}, {p_text(pair.p)}; does not hold after correction "
            f"{_corrected(pair.p_adj, family)}."
        )
    found = ""
    if pair.detectable is not None:
        found = (
            f" A difference of {points(pair.detectable)} points would have been found by the "
            "uncorrected test four times in five."
        )
    return f"not settled: {ahead}, {p_text(pair.p)}.{found}"


def _corrected(p_adj: float, family: Family) -> str:
    hopeless = ", as no result of these runs could" if family.smallest_p >= ALPHA else ""
    return f"for {family.tests} comparisons ({p_text(p_adj)}){hopeless}"


def _design(pair: PairResult) -> str:
    if pair.pairing == "paired":
        return f"{pair.pairs} paired seeds"
    return f"{pair.n_a} and {pair.n_b} runs"


def _ahead(a: str, b: str, difference: float) -> str:
    if difference == 0:
        return f"{a} and {b} are equal"
    better, worse = (a, b) if difference > 0 else (b, a)
    return f"{better} is {points(abs(difference))} points above {worse}"


def _interval(difference: float, low: float, high: float) -> str:
    """Return an interval as seen from the better of the two."""
    if difference < 0:
        low, high = -high, -low
    return f"95 % interval {points(low)} to {points(high)}"
