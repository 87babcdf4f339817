"""How far a student's distributions of the next token are from the teacher's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.checkpoint import checkpoint

from distilwhy.config import SoftLoss

CHUNK = 256  # target tokens compared at once; each takes a few copies of the vocabulary
SMALLEST = 1e-7
"""What others leave of 1 in fp32 is taken for at least so much."""


@dataclass(frozen=True)
class Shares:
    """A teacher's distributions of the next token, at a temperature.

    Args:
        logprobs: fp32, [targets, tokens], in nats: of the whole vocabulary, or of the likeliest
            tokens, in falling order.
        tokens: int64, [targets, tokens], which tokens these are; ``None`` for all, in order.
        rest: fp32, [targets], the log-probability of all other tokens together; ``None`` where
            there are none.
    """

    logprobs: torch.Tensor
    tokens: torch.Tensor | None = None
    rest: torch.Tensor | None = None


def forward_kl(teacher: torch.Tensor, student: torch.Tensor, beta: float) -> torch.Tensor:
    """Return KL(teacher || student) of each target (Hinton et al. 2015, arXiv 1503.02531).

    Args:
        teacher: Log-probabilities, [targets, tokens].
        student: As ``teacher``.
        beta: Unused.
    """
    return (teacher.exp() * (teacher - student)).sum(-1)


def reverse_kl(teacher: torch.Tensor, student: torch.Tensor, beta: float) -> torch.Tensor:
    """Return KL(student || teacher) of each target (MiniLLM, Gu et al. 2023, arXiv 2306.08543).

    Args: as of :func:`forward_kl`.
    """
    return forward_kl(student, teacher, beta)


def jensen_shannon(teacher: torch.Tensor, student: torch.Tensor, beta: float) -> torch.Tensor:
    """Return the generalised Jensen-Shannon divergence (GKD, Agarwal et al. 2024, equation 1).

    ``beta * KL(teacher || mix) + (1 - beta) * KL(student || mix)``, where the mix is
    ``beta * teacher + (1 - beta) * student``.

    Args:
        teacher: Log-probabilities, [targets, tokens].
        student: As ``teacher``.
        beta: Weight of the teacher, in (0, 1).
    """
    mix = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * forward_kl(teacher, mix, beta) + (1 - beta) * forward_kl(student, mix, beta)


_SAME_VOCABULARY: dict[SoftLoss, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jensen_shannon": jensen_shannon,
}


def sorted_distance(teacher: Shares, student: torch.Tensor) -> torch.Tensor:
    """Return the distance of the sorted shares of each target (ULD, Boizard et al. 2024, sec. 3).

    The likeliest token of one is compared with the likeliest of the other, and so on; the shorter
    vocabulary is filled up with zeros. Of a teacher's likeliest tokens alone, all others together
    are compared with what the student has beyond as many.

    Args:
        teacher: The teacher's shares, of a vocabulary of its own.
        student: Log-probabilities, [targets, vocabulary].
    """
    theirs = teacher.logprobs.exp()
    if teacher.rest is not None:
        kept = min(theirs.shape[-1], student.shape[-1])
        ours = student.exp().topk(kept).values
        apart = _padded(theirs, kept) - _padded(ours, theirs.shape[-1])
        left = teacher.rest.exp() - (1 - ours.sum(-1))
        return apart.abs().sum(-1) + left.abs()
    theirs = theirs.sort(-1, descending=True).values
    ours = student.exp().sort(-1, descending=True).values
    width = max(theirs.shape[-1], ours.shape[-1])
    return (_padded(theirs, width) - _padded(ours, width)).abs().sum(-1)


def soft_losses(
    logits: torch.Tensor, teacher: Shares, loss: SoftLoss, *, beta: float, temperature: float
) -> torch.Tensor:
    """Return the soft loss of each target, fp32, [targets].

    The divergences of one vocabulary are multiplied by the temperature's square, so that their
    gradients keep their size (Hinton et al. 2015). Where the teacher's likeliest tokens alone are
    known, all others together count as one token; this never exceeds the loss of the whole.

    Args:
        logits: The student's, [targets, vocabulary], any float dtype.
        teacher: The teacher's shares at that temperature.
        loss: Which divergence.
        beta: Weight of the teacher in ``jensen_shannon``.
        temperature: Divides the logits; above 0.
    """

    def compare(logits: torch.Tensor, *of_teacher: torch.Tensor) -> torch.Tensor:
        shares = Shares(*of_teacher)
        if loss == "uld":
            return sorted_distance(shares, (logits.float() / temperature).log_softmax(-1))
        width = shares.logprobs.shape[-1] if shares.tokens is None else logits.shape[-1]
        student, other = (logits[:, :width].float() / temperature).log_softmax(-1), shares.logprobs
        if shares.tokens is not None and shares.rest is not None:
            student = student.gather(-1, shares.tokens)
            rest = (1 - student.exp().sum(-1)).clamp(min=SMALLEST).log()
            student, other = _with(student, rest), _with(other, shares.rest)
        return _SAME_VOCABULARY[loss](other, student, beta) * temperature**2

    known = (teacher.logprobs, teacher.tokens, teacher.rest)
    parts = [torch.split(part, CHUNK) for part in (logits, *known) if part is not None]
    # Computed again in the backward pass: else each chunk would keep copies of the vocabulary.
    return torch.cat(
        [checkpoint(compare, *part, use_reentrant=False) for part in zip(*parts, strict=True)]
    )


def likeliest(logprobs: torch.Tensor, count: int) -> Shares:
    """Return the likeliest tokens of each distribution.

    Args:
        logprobs: [targets, vocabulary], of the whole vocabulary.
        count: How many tokens; at most all are kept.
    """
    kept, tokens = logprobs.topk(min(count, logprobs.shape[-1]))
    others = logprobs.scatter(-1, tokens, -torch.inf).logsumexp(-1)
    return Shares(kept, tokens, others.clamp(min=math.log(SMALLEST)))


def _with(logprobs: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    return torch.cat([logprobs, rest[:, None]], -1)


def _padded(shares: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(shares, (0, max(0, width - shares.shape[-1])))
