"""Whether two models number the same tokens alike, so that their distributions can be compared."""

from __future__ import annotations

from typing import Protocol

from transformers import PreTrainedTokenizerBase

from distilwhy.errors import ConfigError

EXTRA_SHARE = 0.01  # of the vocabulary may be added tokens that only one of the models has


class Named(Protocol):
    """A model by name, with its tokenizer."""

    @property
    def name(self) -> str:
        """The model string."""
        ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer."""
        ...


def check_vocabularies(teacher: Named, student: Named) -> None:
    """Refuse two vocabularies that are not the same.

    The tokens themselves are compared, number by number: vocabularies of one size can differ, and
    models with one vocabulary can have embeddings padded to different sizes. A few added tokens
    at the end, of a chat template say, may be in one of the two only.

    Raises:
        ConfigError: When a token of the same number differs, or one has many that the other lacks.
    """
    theirs, ours = (
        {number: token for token, number in model.tokenizer.get_vocab().items()}
        for model in (teacher, student)
    )
    shared = theirs.keys() & ours.keys()
    other = next((n for n in sorted(shared) if theirs[n] != ours[n]), None)
    extra = len(theirs.keys() ^ ours.keys())
    if other is None and extra <= EXTRA_SHARE * len(shared):
        return
    if other is None:
        how = f"{len(theirs):,} tokens against {len(ours):,}"
    else:
        how = f"token {other} is {theirs[other]!r} against {ours[other]!r}"
    raise ConfigError(
        f"soft: the teacher {teacher.name} and the student {student.name} have different "
        f"vocabularies ({how}), so their distributions cannot be compared token by token.",
        "Set soft.loss: uld, which needs no common vocabulary, or take a teacher of the student's "
        "own family.",
    )
