"""Whose explanations a student learns: the teacher's, other teachers', people's, or a mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilwhy.config import Condition
from distilwhy.draws import stable_number
from distilwhy.errors import ConfigError
from distilwhy.records import Annotation, DataKind

TEACHER = "teacher"
"""Name of the source that the annotations themselves are of."""

NONE = "none"


@dataclass(frozen=True)
class Mixture:
    """What a student learns from.

    Args:
        annotations: One an example; ``others`` holds further sources where all are learnt.
        sources: By example id, whose explanations the example has; empty where sources are not
            mixed.
    """

    annotations: list[Annotation]
    sources: dict[str, tuple[str, ...]]

    def counts_of(self, annotations: Sequence[Annotation]) -> dict[str, int]:
        """Return by source how many of some examples have its explanation.

        ``none`` counts those that no source explains. Empty where sources are not mixed.
        """
        names = (self.sources.get(annotation.example.id) for annotation in annotations)
        counts = Counter(name for found in names if found is not None for name in found or (NONE,))
        return dict(sorted(counts.items()))


def mixed(annotations: Sequence[Annotation], condition: Condition, seed: int) -> Mixture:
    """Give each example the explanations of the sources that a condition learns from.

    Args:
        annotations: Training examples, with what other sources say of each in ``others``.
        condition: Shares of the sources, and whether an example has the explanation of one of
            them, drawn from those that explain it, or of all. A source that has no revision at all,
            as people write none, gives its rationales for ``revised`` data too.
        seed: Seed of the draws; each depends on it, the example's id and the shares alone.

    Raises:
        ConfigError: When there is no source of a name.
    """
    shares = {name: share for name, share in (condition.learn_from or {}).items() if share > 0}
    if not shares:
        return Mixture([a.model_copy(update={"others": {}}) for a in annotations], {})
    parts = [_by_source(annotation) for annotation in annotations]
    _check_names(shares, parts)
    if condition.data == "revised":
        parts = _revised(parts)
    chosen = []
    found: dict[str, tuple[str, ...]] = {}
    for annotation, sources in zip(annotations, parts, strict=True):
        names = _names(annotation.example.id, sources, shares, condition, seed)
        found[annotation.example.id] = tuple(names)
        chosen.append(_together(annotation, {name: sources[name] for name in names}))
    return Mixture(chosen, found)


def _by_source(annotation: Annotation) -> dict[str, Annotation]:
    return {TEACHER: annotation.model_copy(update={"others": {}}), **annotation.others}


def _names(
    example_id: str,
    sources: Mapping[str, Annotation],
    shares: Mapping[str, float],
    condition: Condition,
    seed: int,
) -> list[str]:
    """Return the sources that an example has the explanations of."""
    able = {
        name: share
        for name, share in shares.items()
        if name in sources and _explains(sources[name], condition.data)
    }
    return [_drawn(able, seed, example_id)] if condition.mixing == "one" and able else list(able)


def _together(annotation: Annotation, sources: Mapping[str, Annotation]) -> Annotation:
    """Return the first source's annotation with the others in it."""
    if not sources:
        example, labelled_by = annotation.example, annotation.labelled_by
        return Annotation(example=example, teacher=annotation.teacher, labelled_by=labelled_by)
    first, *rest = sources
    return sources[first].model_copy(update={"others": {name: sources[name] for name in rest}})


def _drawn(shares: Mapping[str, float], seed: int, example_id: str) -> str:
    """Return a source, each by its share of those that explain the example."""
    place = stable_number(seed, "source", example_id) / 2**256 * sum(shares.values())
    for name, share in shares.items():
        place -= share
        if place < 0:
            return name
    return list(shares)[-1]


def _explains(annotation: Annotation, data: DataKind) -> bool:
    explanation = annotation.explanation(data)
    return explanation is not None and bool(explanation.text)


def _revised(parts: Sequence[dict[str, Annotation]]) -> list[dict[str, Annotation]]:
    """Return rationales as revisions where a source has none of these at all."""
    revising = {name for sources in parts for name, a in sources.items() if a.revision is not None}
    return [
        {
            name: a if name in revising else a.model_copy(update={"revision": a.rationale})
            for name, a in sources.items()
        }
        for sources in parts
    ]


def _check_names(shares: Mapping[str, float], parts: Sequence[Mapping[str, Annotation]]) -> None:
    known = list(dict.fromkeys(name for sources in parts for name in sources))
    for name in shares:
        if name not in known:
            raise ConfigError(
                f"learn_from: there is no source of explanations named {name!r}.",
                f"Known: {', '.join(known)}. Name further files under sources.",
            )
