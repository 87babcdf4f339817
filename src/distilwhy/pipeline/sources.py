"""Several sources of explanations for the same examples, joined in one annotations file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from distilwhy.errors import DataError
from distilwhy.files import read_records
from distilwhy.pipeline.checks import check_ids, fingerprint
from distilwhy.progress import say
from distilwhy.records import Annotation


def with_sources(
    annotations: Sequence[Annotation], sources: Mapping[str, Path]
) -> list[Annotation]:
    """Return annotations with what other sources say of the same questions.

    A question is known by its words and choices, not by its id: files made elsewhere may number
    their rows in another way. Of a question that stands twice, the one with the same id is taken.

    Args:
        annotations: The training examples.
        sources: Further annotations files by name.

    Raises:
        DataError: When a file cannot be read, or explains none of the examples.
    """
    found = list(annotations)
    for name, path in sources.items():
        others = read_records(path, Annotation)
        check_ids(others, path)
        by_words = {fingerprint(other.example): other for other in reversed(others)}
        by_id = {(other.example.id, fingerprint(other.example)): other for other in others}
        joined = 0
        for place, annotation in enumerate(found):
            words = fingerprint(annotation.example)
            other = by_id.get((annotation.example.id, words), by_words.get(words))
            if other is None or other.example.answer != annotation.example.answer:
                continue
            joined += 1
            same = other.model_copy(update={"example": annotation.example, "others": {}})
            others_of = {**annotation.others, name: same}
            found[place] = annotation.model_copy(update={"others": others_of})
        if not joined:
            raise DataError(
                f"{path} explains none of the training examples.",
                "Give annotations of the same questions, choices and answers.",
            )
        say(f"Source {name}: {joined} of {len(found)} training examples explained.")
    return found
