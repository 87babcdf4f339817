"""How numbers of a study are written in its tables."""

from __future__ import annotations

from collections.abc import Iterable

NONE = "-"


def number(value: float | None) -> str:
    """Write a number with three decimals, a large one with fewer."""
    if value is None:
        return NONE
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def p_value(p: float | None) -> str:
    """Write a p-value with four decimals, very small ones as a bound."""
    if p is None:
        return NONE
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def estimate(value: float | None, error: float | None) -> str:
    """Write a mean with its standard error."""
    if value is None:
        return NONE
    return f"{value:.2f}" if error is None else f"{value:.2f} \u00b1 {error:.2f}"


def interval(low: float | None, high: float | None) -> str:
    """Write an interval."""
    return NONE if low is None or high is None else f"{low:.2f} to {high:.2f}"


def reasons(told: Iterable[str | None]) -> str:
    """Return as a sentence why figures are missing; empty where none is."""
    distinct = list(dict.fromkeys(reason for reason in told if reason))
    return f"Not computable: {'; '.join(distinct)}." if distinct else ""
