"""Near-duplicates: questions that say the same in almost the same words."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from distilwhy.records import Example
from distilwhy.tasks.words import content_words, words

ROWS_AT_ONCE = 500
_STOPS = ".,;:!?\"'()\u2013\u2014"


@dataclass(frozen=True)
class Twin:
    """The most similar of the texts known before.

    Args:
        origin: Where that text comes from, as given when it was added.
        example: Its id.
        similarity: How similar it is, from 0 to 1.
    """

    origin: str
    example: str
    similarity: float


def features(text: str | None) -> frozenset[str]:
    """Return the words by which texts are compared.

    Content words in the singular, whatever their case and order, and signs that stand alone (``+``,
    ``-``); where a text has none, all its words; where it has no words either, the text itself.
    """
    if text is None:
        return frozenset()
    signs = {part for part in text.split() if len(part) == 1 and part not in _STOPS}
    signs = {sign for sign in signs if not sign.isalnum()}
    return frozenset(content_words(text) | signs) or frozenset(words(text)) or frozenset([text])


def similarity(first: Example, second: Example) -> float:
    """Return how similar two questions are, from 0 to 1.

    The Jaccard index (shared words by all words of both) of the questions, or of their contexts
    where that is lower: hypotheses of one premise are no duplicates, nor is one question asked of
    two texts. Choices play no part, so a test question with other choices is found.
    """
    return min(
        _jaccard(features(first.question), features(second.question)),
        _jaccard(features(first.context), features(second.context)),
    )


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    union = len(first | second)
    return len(first & second) / union if union else 1.0


class NearDuplicates:
    """Finds near-duplicates of all examples seen before, by :func:`similarity`.

    All pairs are compared, as a product of sparse matrices, so none is missed; 10,000 examples
    take seconds.

    Args:
        threshold: Examples at least so similar are near-duplicates, above 0.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._ids: dict[tuple[str, str], int] = {}
        self._known: list[tuple[str, str]] = []
        self._rows: dict[str, list[list[int]]] = {"question": [], "context": []}

    def add(self, examples: Iterable[Example], origin: str) -> None:
        """Remember examples that later ones must not repeat.

        Args:
            examples: The examples, near-duplicates of each other or not.
            origin: Where they come from, e.g. ``seed``.
        """
        for example in examples:
            self._add(example, origin)

    def sift(self, examples: Sequence[Example], origin: str) -> list[Twin | None]:
        """Find near-duplicates of earlier examples, and remember the others.

        Args:
            examples: New examples; each is also compared with those before it that were no
                near-duplicates themselves.
            origin: Where they come from.

        Returns:
            For each example its most similar twin, or ``None`` where it is new.
        """
        twins: list[Twin | None] = []
        for start in range(0, len(examples), ROWS_AT_ONCE):
            twins += self._sift(examples[start : start + ROWS_AT_ONCE], origin)
        return twins

    def twins(self, examples: Sequence[Example]) -> list[Twin | None]:
        """Return the most similar known example of each, ``None`` where none is near; learns none.

        Args:
            examples: The examples; they are not compared with each other.
        """
        found: list[Twin | None] = []
        for start in range(0, len(examples), ROWS_AT_ONCE):
            part = examples[start : start + ROWS_AT_ONCE]
            known = len(self._known)
            self.add(part, "")
            similar = self._similar(known)
            found += [self._nearest(similar, n, range(known)) for n in range(len(part))]
            self._keep(known, [])
        return found

    def _sift(self, examples: Sequence[Example], origin: str) -> list[Twin | None]:
        known = len(self._known)
        self.add(examples, origin)
        similar = self._similar(known)
        fresh: list[int] = []
        twins: list[Twin | None] = []
        allowed = set(range(known))
        for number in range(len(examples)):
            twin = self._nearest(similar, number, allowed)
            twins.append(twin)
            if twin is None:
                fresh.append(number)
                allowed.add(known + number)
        self._keep(known, fresh)
        return twins

    def _nearest(self, similar: Any, number: int, allowed: Container[int]) -> Twin | None:
        """Return the most similar of the examples allowed; of equals the first.

        Args:
            similar: What :meth:`_similar` returned.
            number: Which of the new examples.
            allowed: Places that a twin may have.
        """
        found = slice(similar.indptr[number], similar.indptr[number + 1])
        pairs = [
            (float(value), -int(place))
            for place, value in zip(similar.indices[found], similar.data[found], strict=True)
            if place in allowed
        ]
        if not pairs:
            return None
        value, place = max(pairs)
        return Twin(*self._known[-place], value)

    def _add(self, example: Example, origin: str) -> None:
        self._known.append((origin, example.id))
        for part, rows in self._rows.items():
            # A marker stands for what is not there, so that two such are alike.
            found = features(getattr(example, part)) or ("\0none",)
            rows.append([self._ids.setdefault((part, word), len(self._ids)) for word in found])

    def _keep(self, known: int, fresh: Sequence[int]) -> None:
        """Forget the examples after the first ``known`` but the fresh ones."""
        places = [*range(known), *(known + number for number in fresh)]
        self._known = [self._known[place] for place in places]
        self._rows = {part: [rows[p] for p in places] for part, rows in self._rows.items()}

    def _similar(self, known: int) -> Any:
        """Return the similarity of the examples after ``known`` to all, where it is enough.

        Returns:
            A sparse matrix, [new examples, all examples].
        """
        question = self._part(self._rows["question"], known)
        return question.minimum(self._part(self._rows["context"], known)).tocsr()

    def _part(self, rows: Sequence[Sequence[int]], known: int) -> Any:
        import numpy as np
        from scipy.sparse import csr_array

        sizes = np.array([len(row) for row in rows])
        ends = np.concatenate([[0], sizes.cumsum()])
        columns = np.fromiter((column for row in rows for column in row), int, int(ends[-1]))
        shape = (len(rows), len(self._ids))
        matrix = csr_array((np.ones(len(columns), np.int32), columns, ends), shape)
        shared = (matrix[known:] @ matrix.T).tocoo()
        share = shared.data / (sizes[known + shared.row] + sizes[shared.col] - shared.data)
        enough = share >= self.threshold
        places = (shared.row[enough], shared.col[enough])
        return csr_array((share[enough], places), (len(rows) - known, len(rows)))
