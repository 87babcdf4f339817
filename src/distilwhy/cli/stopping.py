"""What the command line says when work ended early: the command that goes on."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from distilwhy.errors import StoppedError


def going_on(stop: StoppedError, arguments: Sequence[str]) -> str:
    """Return how to go on, in one sentence or line.

    Args:
        stop: What ended the work.
        arguments: The arguments of the command that was stopped.
    """
    if stop.setting is None:
        return f"Go on with: {_command(arguments)}"
    option = f"--budget-{stop.setting}"
    value = None if stop.enough is None else _rounded_up(stop.enough)
    raised = _replaced(arguments, option, value)
    if raised is not None:
        return f"With a higher budget, go on with: {_command(raised)}"
    about = "" if value is None else f" to about {value}"
    raised_in = f"{stop.budget}.{stop.setting}"
    return f"Raise {raised_in}{about}, then go on with: {_command(arguments)}"


def _command(arguments: Sequence[str]) -> str:
    return shlex.join(["distilwhy", *arguments])


def _replaced(arguments: Sequence[str], option: str, value: str | None) -> list[str] | None:
    """Return the arguments with another value of an option; ``None`` where it is not among them."""
    replaced = list(arguments)
    for place, argument in enumerate(arguments):
        name, separator, given = argument.partition("=")
        if name != option:
            continue
        at = place if separator else place + 1
        old = given if separator else arguments[at]
        new = value or _rounded_up(2 * float(old))
        replaced[at] = f"{option}={new}" if separator else new
        return replaced
    return None


def _rounded_up(value: float) -> str:
    """Return a number rounded up to two digits, as it is written in an option."""
    scale = math.floor(math.log10(value)) - 1
    digits = math.ceil(value / 10**scale)
    shown = f"{digits * 10**scale:.{max(0, -scale)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
