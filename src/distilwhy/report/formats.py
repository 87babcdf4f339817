"""How numbers are written in a report: one way for each kind of number."""

from __future__ import annotations

import math

NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"
MISSING = "\u2014"


def count(value: float | None) -> str:
    """Write a whole number with thousands separated, e.g. ``1,221``."""
    return MISSING if value is None else f"{value:,.0f}"


def decimal(value: float | None, digits: int = 1) -> str:
    """Write a number with a fixed number of decimals."""
    if value is None or not math.isfinite(value):
        return MISSING
    return _signed_zero(f"{value:,.{digits}f}").replace("-", MINUS)


def percent(share: float | None) -> str:
    """Write a share from 0 to 1 in percent with one decimal, e.g. ``62.1 %``."""
    text = decimal(None if share is None else 100 * share)
    return text if text == MISSING else f"{text}{NBSP}%"


def interval(low: float, high: float) -> str:
    """Write an interval of shares in percent, e.g. ``51.2 - 72.5 %`` with a dash."""
    return f"{decimal(100 * low)}{DASH}{decimal(100 * high)}{NBSP}%"


def points(difference: float) -> str:
    """Write a difference of two shares in percentage points with its sign, e.g. ``+4.2``."""
    text = decimal(100 * difference)
    return text if text.startswith(MINUS) or text == "0.0" else f"+{text}"


def points_interval(low: float, high: float) -> str:
    """Write an interval of a difference in percentage points, e.g. ``+1.0 to +9.4``."""
    return f"{points(low)} to {points(high)}"


def p_value(p: float) -> str:
    """Write a p-value with three decimals, very small ones as a bound."""
    return f"<{NBSP}0.001" if p < 0.001 else f"{p:.3f}"


def p_clause(p: float) -> str:
    """Write a p-value for use in a sentence, e.g. ``p = 0.034`` or ``p < 0.001``."""
    text = p_value(p)
    return f"p{NBSP}{text}" if text.startswith("<") else f"p{NBSP}={NBSP}{text}"


def duration(seconds: float | None) -> str:
    """Write a duration in its two largest units, e.g. ``1 h 05 min``."""
    if seconds is None:
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min{NBSP}{rest:02d}{NBSP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{NBSP}h{NBSP}{minutes:02d}{NBSP}min"


def memory(mebibytes: float | None) -> str:
    """Write a memory size, from 1,024 MiB in GiB."""
    if mebibytes is None:
        return MISSING
    if mebibytes < 1024:
        return f"{mebibytes:,.0f}{NBSP}MiB"
    return f"{mebibytes / 1024:,.1f}{NBSP}GiB"


def parameters(number: int | None) -> str:
    """Write a number of parameters, e.g. ``248 M``; below 10 of a unit with one decimal."""
    if number is None:
        return MISSING
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            value = number / size
            return f"{value:.{1 if value < 10 else 0}f}{NBSP}{unit}"
    return str(number)


def _signed_zero(text: str) -> str:
    """Drop the sign of a number that rounds to zero."""
    return text.removeprefix("-") if not text.strip("-0.") else text
