"""The resumable loop that grows a task: write, read, drop near-duplicates, answer, keep."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distilwhy.draws import stable_number
from distilwhy.errors import StoppedError
from distilwhy.generators.base import Generator
from distilwhy.growing.agree import Votes, vote
from distilwhy.growing.balance import balanced_sizes, place_answers, ranked_labels, spread
from distilwhy.growing.limits import Malformed
from distilwhy.growing.parse import parse
from distilwhy.growing.prompt import Asking, writing_place
from distilwhy.growing.report import (
    OF_GROWN,
    OF_SEED,
    OF_TEST,
    OTHER_ANSWER,
    SURPLUS,
    UNDECIDED,
    GrowthReport,
    Rejected,
    count_reasons,
    counts_of,
)
from distilwhy.progress import Advance
from distilwhy.records import Example
from distilwhy.tasks.duplicates import NearDuplicates, Twin
from distilwhy.teaching.asking import FREE, stored_teacher
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.spending import Terms
from distilwhy.teaching.teacher import Teacher

MOST_FOR_EACH = 4  # questions asked for in one round, for each that is missing
OWN_CHOICES = ""  # stands for the label where questions have choices of their own
_ORIGINS = {"seed": OF_SEED, "test": OF_TEST, "grown": OF_GROWN}


@dataclass(frozen=True)
class Growth:
    """A grown task.

    Args:
        train: Its training examples.
        validation: Its validation examples.
        test: Its test examples, where some were wanted.
        rejected: The questions that were not kept, in the order of the requests.
        report: What was kept and why.
        cost: Texts, tokens and seconds.
    """

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    rejected: list[Rejected]
    report: GrowthReport
    cost: TeachingCost


@dataclass(frozen=True)
class _Written:
    """A question asked for, with the teacher's text."""

    request: int
    text: str
    example: Example

    def rejected(self, reason: str, detail: str = "") -> Rejected:
        return Rejected(request=self.request, reason=reason, detail=detail, text=self.text)


@dataclass
class _Garden:
    """What a run works with, and what has grown so far."""

    asking: Asking
    known: NearDuplicates
    name: str
    requested: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[_Written, Votes]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """The labels in the order in which they take turns."""
        return ranked_labels(self.asking.shape.labels or (OWN_CHOICES,), self.asking.seed)

    @property
    def wanted(self) -> dict[str, int]:
        """Examples wanted by label."""
        return spread(self.asking.settings.wanted, self.labels)

    @property
    def available(self) -> Counter[str]:
        """Examples kept by label."""
        return Counter(self.label(written.example) for written, _ in self.kept)

    def label(self, example: Example) -> str:
        """Return the label under which an example counts."""
        return str(example.answer) if self.asking.shape.labels else OWN_CHOICES


def grow(
    asking: Asking,
    generator: Generator,
    *,
    against: Iterable[Example],
    name: str,
    store_path: Path,
    terms: Terms = FREE,
    progress: Advance | None = None,
) -> Growth:
    """Have a teacher write the examples of a task (self-instruct: Wang et al. 2023, arXiv
    2212.10560), and keep those that are well-formed, new, and that it answers as proposed.

    Each text is stored as it arrives. Stopped at any moment and started again with the same
    arguments, the run asks only what the store lacks; with more examples wanted, or a higher limit
    of requests, it goes on from there.

    Args:
        asking: Description, seed examples, settings and seed.
        generator: The teacher.
        against: Examples that no new one may repeat: those of the test.
        name: Front of the new examples' ids.
        store_path: The store of the teacher's texts.
        terms: Budget and prices.
        progress: Told of examples kept and wanted, of tokens and money.

    Raises:
        DataError: When the store cannot be used.
        StageError: When the teacher leaves prompts unanswered.
        StoppedError: When the budget is reached, or at a SIGINT or SIGTERM.
    """
    known = NearDuplicates(asking.settings.similarity)
    known.add(against, "test")
    known.add(asking.seeds, "seed")
    garden = _Garden(asking, known, name)
    with stored_teacher(generator, store_path, terms) as source:
        teacher = Teacher(source, lambda note: _tell(garden, progress, note))
        while requests := _plan(garden):
            _tell(garden, progress, source.note)
            try:
                _round(garden, teacher, requests)
            except StoppedError as stop:
                answers = len(requests) * asking.settings.samples
                stop.missing = {"question": len(requests), "answer": answers}
                raise
        _tell(garden, progress, source.note)
        return _harvest(garden, teacher.cost)


def _tell(garden: _Garden, progress: Advance | None, note: str) -> None:
    """Tell how many examples are kept."""
    if progress is not None:
        wanted = garden.asking.settings.wanted
        progress(min(len(garden.kept), wanted), wanted, note)


def _plan(garden: _Garden) -> list[str]:
    """Return the labels of the next requests, in order; none when the run is over.

    As many as would do, going by the share kept so far. It depends on nothing but what was kept,
    so that a run that is started again asks the same.
    """
    settings = garden.asking.settings
    asked = garden.requested.total()
    yielded = (len(garden.kept) + 1) / (asked + 1)
    available = garden.available
    missing = {label: max(number - available[label], 0) for label, number in garden.wanted.items()}
    left = {
        label: min(math.ceil(number / yielded), MOST_FOR_EACH * number)
        for label, number in missing.items()
    }
    plan: list[str] = []
    while any(left.values()):
        for label in garden.labels:
            if left[label]:
                plan.append(label)
                left[label] -= 1
    return plan[: settings.most_requests - asked]


def _round(garden: _Garden, teacher: Teacher, labels: Sequence[str]) -> None:
    """Ask for questions and keep the good ones."""
    first = garden.requested.total()
    asking = garden.asking
    places = {
        f"{garden.name}-{number}": writing_place(number, label or None, asking)
        for number, label in enumerate(labels, first)
    }
    prompts = {name: place.prompt for name, place in places.items()}
    texts = teacher.texts(prompts, asking.writing, "question")
    garden.requested.update(labels)
    written = []
    for name, place in places.items():
        text = texts[name]
        found = parse(text.text, text.finish, place, asking, name)
        if isinstance(found, Malformed):
            garden.rejected.append(
                Rejected(
                    request=place.number, reason=found.fault, detail=found.detail, text=text.text
                )
            )
        else:
            written.append(_Written(place.number, text.text, found))
    _vote(garden, teacher, _without_twins(garden, written))


def _without_twins(garden: _Garden, written: Sequence[_Written]) -> list[_Written]:
    """Return the questions that are no near-duplicates."""
    twins: list[Twin | None] = garden.known.sift([item.example for item in written], "grown")
    fresh = []
    for item, twin in zip(written, twins, strict=True):
        if twin is None:
            fresh.append(item)
        else:
            detail = f"{twin.similarity:.2f} like {twin.example}"
            garden.rejected.append(item.rejected(_ORIGINS[twin.origin], detail))
    return fresh


def _vote(garden: _Garden, teacher: Teacher, written: Sequence[_Written]) -> None:
    """Keep the questions on which the teacher agrees with itself."""
    votes = vote([item.example for item in written], garden.asking, teacher)
    for item, counted in zip(written, votes, strict=True):
        if counted.agrees:
            garden.kept.append((item, counted))
        else:
            reason = OTHER_ANSWER if counted.contradicts else UNDECIDED
            garden.rejected.append(item.rejected(reason, str(counted)))


def _harvest(garden: _Garden, cost: TeachingCost) -> Growth:
    """Balance what was kept, split it and put right answers everywhere alike."""
    settings, shape = garden.asking.settings, garden.asking.shape
    sizes = balanced_sizes(garden.available, garden.wanted)
    taken: Counter[str] = Counter()
    chosen: list[tuple[Example, Votes]] = []
    for item, votes in garden.kept:
        label = garden.label(item.example)
        if taken[label] < sizes[label]:
            taken[label] += 1
            chosen.append((item.example, votes))
        else:
            garden.rejected.append(item.rejected(SURPLUS))
    splits = _split([example for example, _ in chosen], sizes, garden)
    if not shape.labels:
        splits = {
            name: place_answers(rows, garden.asking.seed, name) for name, rows in splits.items()
        }
    shares = [votes.favourable / votes.samples for _, votes in chosen]
    report = GrowthReport(
        wanted=settings.wanted,
        kept=len(chosen),
        requested=garden.requested.total(),
        most_requests=settings.most_requests,
        reasons=count_reasons(garden.rejected),
        splits={name: counts_of(rows, shape.labels) for name, rows in splits.items()},
        agreement=sum(shares) / len(shares) if shares else None,
    )
    rejected = sorted(garden.rejected, key=lambda item: item.request)
    return Growth(
        splits["train"],
        splits.get("validation", []),
        splits.get("test", []),
        rejected,
        report,
        cost,
    )


def _split(
    examples: Sequence[Example], sizes: Mapping[str, int], garden: _Garden
) -> dict[str, list[Example]]:
    """Draw the splits wanted, as many of each label as can be; the rest is for training."""
    settings, seed = garden.asking.settings, garden.asking.seed
    left = {
        label: [example for example in examples if garden.label(example) == label]
        for label in garden.labels
    }
    place = {example.id: number for number, example in enumerate(examples)}
    splits: dict[str, list[Example]] = {"train": []}
    for split, wanted in (("validation", settings.validation), ("test", settings.test)):
        if not wanted:
            continue
        # Labels with one more example give one more, so that all splits stay balanced.
        ranked = sorted(garden.labels, key=lambda label: -len(left[label]))
        held = spread(len(examples) * wanted // settings.wanted, ranked)
        drawn: list[Example] = []
        for label in ranked:
            left[label].sort(key=lambda example: stable_number(seed, split, example.id))
            drawn += left[label][: held[label]]
            left[label] = left[label][held[label] :]
        splits[split] = sorted(drawn, key=lambda example: place[example.id])
    rest = [example for rows in left.values() for example in rows]
    splits["train"] = sorted(rest, key=lambda example: place[example.id])
    return splits
