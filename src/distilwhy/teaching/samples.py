"""Several samples of one text, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from distilwhy.config import TeachingSettings
from distilwhy.draws import stable_number
from distilwhy.generators.base import Decoding
from distilwhy.generators.recorded import StoredText
from distilwhy.records import TeacherText

SEEDS = 2**31
"""Seeds of samples are below this, so that every backend takes them."""


@dataclass(frozen=True)
class Sample:
    """One of the texts among which one is chosen.

    Args:
        text: The text, cleaned and gated.
        likelihood: Mean log-likelihood of its tokens in nats; ``None`` where it is not known.
    """

    text: TeacherText
    likelihood: float | None = None


def sample_decodings(
    decoding: Decoding, settings: TeachingSettings, seed: int
) -> tuple[Decoding, ...]:
    """Return how each sample of a text is decoded.

    The first samples do not depend on how many follow, so asking for more keeps those that there
    are.

    Args:
        decoding: How a text is decoded greedily.
        settings: Number of samples, temperature and selection.
        seed: The experiment's seed.
    """
    if settings.temperature == 0:
        return (decoding,)
    return tuple(
        replace(
            decoding,
            temperature=settings.temperature,
            seed=stable_number(seed, "sample", number) % SEEDS,
            logprobs=wants_likelihoods(settings),
        )
        for number in range(settings.samples)
    )


def wants_likelihoods(settings: TeachingSettings) -> bool:
    """Return whether samples are chosen by their likelihood."""
    return settings.samples > 1 and settings.selection == "likelihood"


def mean_likelihood(row: StoredText) -> float | None:
    """Return the mean log-likelihood of a text's tokens; that of a text without tokens is least."""
    if row.logprob is None:
        return None
    return row.logprob / row.completion_tokens if row.completion_tokens else -math.inf


def fewest_faults(samples: Sequence[Sample]) -> Sample:
    """Return the sample that fails the fewest gates; of equals, the first."""
    return min(samples, key=lambda sample: len(sample.text.flags))


def most_likely(samples: Sequence[Sample]) -> Sample:
    """Return the sample whose tokens have the highest mean likelihood; of equals, the first."""
    return max(
        samples,
        key=lambda sample: -math.inf if sample.likelihood is None else sample.likelihood,
    )


SELECTIONS: dict[str, Callable[[Sequence[Sample]], Sample]] = {
    "gates": fewest_faults,
    "likelihood": most_likely,
    # Only answers can agree: among those that do, and where a text has no answer, gates decide.
    "agreement": fewest_faults,
}
"""Ways to choose among samples; never of none."""
