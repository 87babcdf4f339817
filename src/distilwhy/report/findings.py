"""What the figures allow to be said in words, never more than intervals and p-values support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose
from statistics import mean

from distilwhy.report import formats
from distilwhy.report.data import Comparison, Entry, ReportData
from distilwhy.statistics.multiplicity import adjust

LEVEL = 0.05
"""Significance level, after correction, below which a difference counts as settled."""


@dataclass(frozen=True)
class Judged:
    """A comparison with its p-value corrected for all comparisons of the report.

    Args:
        comparison: The comparison.
        p_adjusted: Its p-value after Holm's correction (Holm 1979).
    """

    comparison: Comparison
    p_adjusted: float

    @property
    def settled(self) -> bool:
        """Whether the corrected p-value and the interval both speak for a difference."""
        item = self.comparison
        return self.p_adjusted < LEVEL and not item.ci_low <= 0 <= item.ci_high

    @property
    def finding(self) -> str:
        """The comparison's outcome in words."""
        if not self.settled:
            return "not settled"
        return "A better" if self.comparison.difference > 0 else "B better"

    def seen_from(self, name: str) -> Judged:
        """Return the comparison with the named entry as ``a``."""
        item = self.comparison
        if item.a == name:
            return self
        turned = item.model_copy(
            update={
                "a": item.b,
                "b": item.a,
                "difference": -item.difference,
                "ci_low": -item.ci_high,
                "ci_high": -item.ci_low,
                "only_a_right": item.only_b_right,
                "only_b_right": item.only_a_right,
            }
        )
        return replace(self, comparison=turned)


def judge(comparisons: Sequence[Comparison]) -> list[Judged]:
    """Correct the p-values of all comparisons together by Holm's step-down method.

    Args:
        comparisons: All comparisons of the report.

    Returns:
        The comparisons in the order given.
    """
    adjusted = adjust([item.p for item in comparisons])
    return [Judged(item, p) for item, p in zip(comparisons, adjusted, strict=True) if p is not None]


@dataclass(frozen=True)
class Headline:
    """The report's first words.

    Args:
        lead: The sentence on the best student.
        against: A sentence on each of baseline, teacher and runner-up, where there is one.
        caution: What a reader should keep in mind; may be empty.
    """

    lead: str
    against: tuple[str, ...]
    caution: str = ""


def headline(data: ReportData) -> Headline:
    """Say which student did best and how it stands to baseline, teacher and runner-up.

    Students of equal label and condition are one group; groups are ranked by their mean accuracy
    over seeds, and each group speaks through its first seed, so that no lucky seed is picked.
    """
    groups = student_groups(data)
    if not groups:
        return Headline("No student was evaluated in this run.", ())
    groups.sort(key=lambda group: -mean(entry.metrics.accuracy for entry in group))
    tied = _tied(groups)
    best = groups[0][0]
    others = []
    if baselines := data.of_kind("baseline"):
        baseline = max(baselines, key=lambda entry: entry.metrics.accuracy)
        others.append((baseline, _baseline_label(baseline.name)))
    others += [(entry, f"the teacher, {entry.name}") for entry in data.of_kind("teacher")]
    if len(groups) > len(tied):
        others.append((groups[len(tied)][0], f"the runner-up, {groups[len(tied)][0].name}"))
    judged = judge(data.comparisons)
    against = tuple(_against(judged, best, other, label) for other, label in others)
    cautions = [*_collapsed(data), *_contaminated(data)]
    if len(groups) > len(tied):
        name = _group_name(groups[0])
        subject, its = (
            (f"{name} was", "its") if len(tied) == 1 else ("Those that tie were", "their")
        )
        cautions.append(
            f"{subject} picked as the best of {len(groups)} on the same questions that {its} "
            f"accuracy is measured on, so {its} figure is somewhat flattered."
        )
    return Headline(_lead(groups, tied), against, " ".join(cautions))


def _tied(groups: Sequence[Sequence[Entry]]) -> list[Sequence[Entry]]:
    """Return those of ranked groups that no other is better than, the first among them."""
    accuracies = [mean(entry.metrics.accuracy for entry in group) for group in groups]
    # Means of the same counts can differ in their last bit.
    return [g for g, a in zip(groups, accuracies, strict=True) if isclose(a, accuracies[0])]


def _group_name(group: Sequence[Entry]) -> str:
    """Return how a student is called: over its seeds, by student and condition."""
    entry = group[0]
    if len(group) == 1:
        return entry.name
    return ", ".join(part for part in (entry.student, entry.condition) if part) or entry.name


def collapsed_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Return the students among entries whose runs collapsed."""
    return [e for e in entries if e.kind in ("student", "control") and e.metrics.collapsed]


def _collapsed(data: ReportData) -> list[str]:
    """Say how many runs collapsed, and which; nothing where none did."""
    runs = [e for e in data.entries if e.seed is not None and e.control != "swapped_tags"]
    collapsed = collapsed_entries(runs)
    if not collapsed:
        return []
    names = "; ".join(f"{entry.name} ({entry.metrics.collapsed[0]})" for entry in collapsed)
    return [
        f"{len(collapsed)} of {len(runs)} runs collapsed: {names}. Means over seeds count them, "
        "and are given without them too."
    ]


def _contaminated(data: ReportData) -> list[str]:
    """Say how many test questions training nearly repeats; nothing where there are none."""
    found = data.contamination
    if found is None or not found.repeated:
        return []
    count, total = len(found.repeated), data.n_test
    noun = "question nearly repeats" if count == 1 else "questions nearly repeat"
    return [f"{count} of {total} test {noun} a training question."]


def student_groups(data: ReportData, controls: bool = False) -> list[list[Entry]]:
    """Return the students' entries grouped by student label and condition, in order.

    Args:
        data: All that the report shows.
        controls: Whether students that were spoiled on purpose are among them.
    """
    kinds = ("student", "control") if controls else ("student",)
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in (entry for entry in data.entries if entry.kind in kinds):
        key = (entry.student or "", entry.condition or entry.name)
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _lead(groups: Sequence[Sequence[Entry]], tied: Sequence[Sequence[Entry]]) -> str:
    best = groups[0]
    entry, metrics = best[0], best[0].metrics
    subject = "The most accurate student" if len(groups) > 1 else "The student"
    told = ""
    if len(tied) > 1:
        subject = "The first of them"
        accuracy = formats.percent(mean(item.metrics.accuracy for item in best))
        told = f"{len(tied)} students tie at {accuracy}: {'; '.join(map(_group_name, tied))}. "
    share = (
        f"{formats.percent(metrics.accuracy)} of {formats.count(metrics.n)} test questions rightly "
        f"(95{formats.NBSP}% interval {formats.interval(metrics.ci_low, metrics.ci_high)})."
    )
    if len(best) == 1:
        return f"{told}{subject}, {entry.name}, answered {share}"
    accuracies = [item.metrics.accuracy for item in best]
    sound = [item.metrics.accuracy for item in best if not item.metrics.collapsed]
    without = ""
    if 0 < len(sound) < len(best):
        count = len(best) - len(sound)
        without = f"; {formats.percent(mean(sound))} without the {count} that collapsed"
    return (
        f"{told}{subject} on average over {len(best)} seeds, {_group_name(best)}, answered "
        f"{formats.percent(mean(accuracies))} of the test questions rightly (lowest "
        f"{formats.percent(min(accuracies))}, highest {formats.percent(max(accuracies))}"
        f"{without}). "
        f"Its run {entry.name} answered {share}"
    )


def _against(judged: Sequence[Judged], best: Entry, other: Entry, label: str) -> str:
    """Say how the best student stands to another entry."""
    accuracy = formats.percent(other.metrics.accuracy)
    for item in judged:
        if {item.comparison.a, item.comparison.b} == {best.name, other.name}:
            return _paired(item.seen_from(best.name), f"{label} ({accuracy})")
    shown = f"{label} ({accuracy}, {formats.interval(other.metrics.ci_low, other.metrics.ci_high)})"
    if best.metrics.ci_low > other.metrics.ci_high:
        return f"Its interval lies above that of {shown}."
    if best.metrics.ci_high < other.metrics.ci_low:
        return f"Its interval lies below that of {shown}."
    return f"Its interval overlaps that of {shown}: this test does not tell them apart."


def _paired(item: Judged, label: str) -> str:
    comparison = item.comparison
    evidence = (
        f"95{formats.NBSP}% interval of the difference "
        f"{formats.points_interval(comparison.ci_low, comparison.ci_high)}; "
        f"McNemar {formats.p_clause(item.p_adjusted)}, Holm-corrected"
    )
    if not item.settled:
        return (
            f"Against {label}, this test does not settle the difference of "
            f"{formats.points(comparison.difference)} points: {evidence}."
        )
    side = "above" if comparison.difference > 0 else "below"
    size = formats.decimal(100 * abs(comparison.difference))
    return f"It lies {size} points {side} {label}: {evidence}."


def _baseline_label(name: str) -> str:
    return f"the {name}" if "baseline" in name.lower() else f"the {name} baseline"
