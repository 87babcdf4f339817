"""Errors that a user can mend: one sentence that says what is wrong, one that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a file or configuration.

    Args:
        where: The file with its line, or the field, e.g. ``train.jsonl:12`` or ``training.alpha``.
        what: What is wrong there, as a short clause.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class UserError(Exception):
    """A mistake that the user can mend; the command line shows it without a traceback, exit code 2.

    Args:
        message: One sentence naming the file, line or field at fault.
        remedy: One sentence saying what to do; may be empty when the message says it already.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class DataError(UserError):
    """A data file cannot be used as it is."""


class ConfigError(UserError):
    """An experiment file or option cannot be used as it is."""


class ModelError(UserError):
    """A model cannot be found or loaded."""


class MissingExtraError(UserError):
    """An optional dependency is not installed.

    Args:
        what: What needs it, e.g. ``the report``.
        extra: The name of the extra that brings it, e.g. ``report``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed.",
            f"Run: pip install 'distilwhy[{extra}]'",
        )


class StageError(Exception):
    """A stage could not finish for a reason that is not the user's mistake; exit code 1."""


class StoppedError(Exception):
    """Work ended early on purpose: a budget or the user ended it; all that was done is kept.

    Args:
        why: One sentence that says what ended it.
        code: Exit code of the command line.
        setting: The setting of the budget that is reached, e.g. ``usd``; ``None`` for an interrupt.
    """

    def __init__(self, why: str, code: int, setting: str | None = None) -> None:
        self.code = code
        self.setting = setting
        self.budget = "teacher.budget"
        """Where the budget stands in a file of settings."""
        self.missing: dict[str, int] = {}
        """By step, how many texts are missing."""
        self.enough: float | None = None
        """The value of the setting that is likely to be enough, where something tells."""
        super().__init__(why)

    def __str__(self) -> str:
        parts = [f"{count:,} {step}" for step, count in self.missing.items() if count]
        told = f" Texts still missing: {', '.join(parts)}." if parts else ""
        return f"{self.args[0]}{told}"


FAULTS_SHOWN = 20


def raise_faults(
    error: type[UserError], subject: str, faults: Sequence[Fault], remedy: str
) -> None:
    """Raise one error that lists every fault; do nothing when there is none.

    Args:
        error: The kind of error to raise.
        subject: What was read, e.g. a path.
        faults: All faults found, in file order; the first 20 are listed, the rest counted.
        remedy: What the user should do about them.

    Raises:
        UserError: Of the given kind, when ``faults`` is not empty.
    """
    if not faults:
        return
    if len(faults) == 1:
        raise error(f"{faults[0]}.", remedy)
    lines = [f"  {fault}" for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        lines.append(f"  ... and {len(faults) - FAULTS_SHOWN} more")
    raise error("\n".join([f"{subject} has {len(faults)} faults:", *lines]), remedy)
