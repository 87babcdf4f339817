"""What the robust analysis found, in sentences that claim no more than its tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distilwhy.human_study.effects import Effect
from distilwhy.human_study.permutation import PermutationTest

LEVEL = 0.05


def conclude(
    tests: Mapping[str, PermutationTest], effects: Mapping[str, Sequence[Effect]]
) -> dict[str, list[str]]:
    """Return sentences by construct: whether conditions differ at all, then pair by pair.

    Args:
        tests: The permutation test of each construct, and of quality.
        effects: Every pair's difference, interval and corrected p.
    """
    return {
        name: [_overall(name, test), *(_pair(effect) for effect in effects[name])]
        for name, test in tests.items()
    }


def _overall(name: str, test: PermutationTest) -> str:
    if test.p is None:
        return f"{name}: not computable: {test.reason}."
    corrected = test.p_adj is not None
    p = test.p_adj if test.p_adj is not None else test.p
    told = f"p = {p:.4f}{' after correction' if corrected else ''}"
    if p < LEVEL:
        return f"{name}: conditions differ ({told})."
    return f"{name}: no difference was found ({told}), which does not show that there is none."


def _pair(effect: Effect) -> str:
    names = f"{effect.b} against {effect.a}"
    if effect.difference is None or effect.raw is None:
        return f"{names}: not computable: {effect.reason}."
    told = f"{names}: {_points(effect.difference)} {effect.scheme}"
    if effect.ci_low is not None and effect.ci_high is not None:
        told += f", 95 % interval {effect.ci_low:+.2f} to {effect.ci_high:+.2f}"
    told += f" (raw means: {_points(effect.raw)})"
    if effect.p is None or effect.p_adj is None:
        return f"{told}; not tested: {effect.reason}."
    if effect.p >= LEVEL:
        return f"{told}; not told apart from none (p = {effect.p:.4f})."
    if effect.p_adj >= LEVEL:
        return f"{told}; does not hold after correction (p = {effect.p_adj:.4f})."
    doubt = _doubt(effect.difference, effect.raw, effect.ci_low, effect.ci_high)
    if doubt:
        return f"{told}; not settled, as {doubt} (p = {effect.p_adj:.4f} after correction)."
    return f"{told}; holds after correction (p = {effect.p_adj:.4f})."


def _points(difference: float) -> str:
    if difference == 0:
        return "no difference"
    return f"{abs(difference):.2f} points {'higher' if difference > 0 else 'lower'}"


def _doubt(difference: float, raw: float, low: float | None, high: float | None) -> str | None:
    """Return what speaks against a difference that its test found; ``None`` if nothing does."""
    if low is None or high is None:
        return "there are too few participants for an interval to confirm it"
    if low <= 0 <= high:
        return "the interval does not confirm the test"
    if difference * raw < 0:
        return "raw means point the other way: who rated what matters more than the condition"
    return None
