"""Overlap of explanations with what the teacher said of the same questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from distilwhy.errors import MissingExtraError, ModelError
from distilwhy.explainability.figures import mean_of
from distilwhy.explainability.measures import (
    MEASURES,
    Figure,
    ItemScores,
    NotApplicableError,
    Scored,
)
from distilwhy.explainability.subject import Subject

Similarity = Callable[[Subject, Sequence[str], Sequence[str]], list[float]]
"""Compares texts of a subject with references, pair by pair."""


class Overlap:
    """Compares each explanation with the teacher's text of the same question.

    Args:
        name: Name of the score.
        similarity: How two texts are compared.
    """

    needs: tuple[str, ...] = ("references",)
    reads_question = False

    def __init__(self, name: str, similarity: Similarity) -> None:
        self.name = name
        self._similarity = similarity

    def score(self, subject: Subject) -> Scored:
        """See :class:`Measure`."""
        explained = subject.explained
        if not explained:
            raise NotApplicableError("it gives no explanation")
        found = []
        for prediction in explained:
            annotation = subject.references.get(prediction.example.id)
            reference = annotation.explanation(subject.data) if annotation else None
            if reference is not None and reference.text.strip():
                found.append((prediction, reference.text))
        if not found:
            what = "rationale" if subject.data == "unrevised" else "revision"
            raise NotApplicableError(f"the references hold no {what} of any question it explains")
        texts = [prediction.rationale or "" for prediction, _ in found]
        values = self._similarity(subject, texts, [reference for _, reference in found])
        items = [
            ItemScores(example_id=prediction.example.id, scores={self.name: value})
            for (prediction, _), value in zip(found, values, strict=True)
        ]
        missing = len(explained) - len(found)
        details: dict[str, str | int] = {"data": subject.data, "without_reference": missing}
        if self.name == "semantic":
            details["embedder"] = subject.embedder
        return Scored(items, details)

    def summarise(self, items: Sequence[ItemScores], seed: int) -> Mapping[str, Figure]:
        """See :class:`Measure`."""
        return {self.name: mean_of(items, self.name, seed)}


def chrf(subject: Subject, texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return each text's chrF against its reference, from 0 to 100 (Popović 2015), by sacrebleu.

    Args:
        subject: Not used.
        texts: Explanations.
        references: One reference each.
    """
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    return [
        float(metric.sentence_score(text, [reference]).score)
        for text, reference in zip(texts, references, strict=True)
    ]


def semantic(subject: Subject, texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return the cosine of each text's embedding with its reference's, from -1 to 1.

    Args:
        subject: Names the embedder.
        texts: Explanations.
        references: One reference each.

    Raises:
        MissingExtraError: When sentence-transformers is not installed.
        ModelError: When the embedder cannot be loaded.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError("The measure semantic", "semantic") from error
    try:
        # Weights from safetensors only, and no code from a hub, as for all models.
        model = SentenceTransformer(
            subject.embedder, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelError(
            f"The embedder {subject.embedder} cannot be loaded: {' '.join(str(error).split())}",
            "Name a model of sentence-transformers with safetensors weights, or a folder of one.",
        ) from error
    ours, theirs = (
        model.encode(list(side), normalize_embeddings=True, show_progress_bar=False)
        for side in (texts, references)
    )
    return [float(one @ other) for one, other in zip(ours, theirs, strict=True)]


MEASURES.add("overlap", Overlap("chrf", chrf))
MEASURES.add("semantic", Overlap("semantic", semantic))
