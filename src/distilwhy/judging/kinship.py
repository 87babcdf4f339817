"""Whether a judge is of the family of those that it judges."""

from __future__ import annotations

from collections.abc import Mapping

from distilwhy.models.families import families, shared_family


def family_warning(judge: str, student: str | None) -> str | None:
    """Return the warning that a judge is of the student's family, or may be; ``None`` where not.

    Args:
        judge: Its model string.
        student: Model string of what the student was trained from; ``None`` where nothing tells.
    """
    if student is None:
        return "Nothing tells of which family the student is, so the judge may be of the same."
    shared = shared_family(judge, student)
    if shared is not None:
        return (
            f"Judge and student are of the same family ({shared}); judges prefer texts of their "
            "own kind (Panickssery et al. 2024, arXiv 2404.13076)."
        )
    unknown = [
        what for what, name in (("judge", judge), ("student", student)) if not families(name)
    ]
    if unknown:
        return f"The family of the {' and the '.join(unknown)} is not known; they may share one."
    return None


def family_warnings(judge: str, students: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the warnings of several predictors, each with the names of those that it is of.

    Args:
        judge: Model string of the judge.
        students: By predictor, what it was trained from; ``None`` where nothing tells.
    """
    told: dict[str, list[str]] = {}
    for name, student in students.items():
        if (warning := family_warning(judge, student)) is not None:
            told.setdefault(warning, []).append(name)
    return tuple(f"{', '.join(names)}: {warning}" for warning, names in told.items())
