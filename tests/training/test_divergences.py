"""Soft losses against torch's own kl_div, in double precision, and their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import kl_div

from distilwhy.config import SoftLoss
from distilwhy.training.divergences import Shares, likeliest, soft_losses

TARGETS, TOKENS = 600, 40  # more targets than are compared at once


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return 3 * torch.randn(TARGETS, TOKENS), 3 * torch.randn(TARGETS, TOKENS)


def plain_kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return KL(first || second) of shares; torch's second argument comes first."""
    return kl_div(second.log(), first, reduction="none").sum(-1)


def plain(loss: str, teacher: torch.Tensor, student: torch.Tensor, beta: float) -> torch.Tensor:
    if loss == "forward_kl":
        return plain_kl(teacher, student)
    if loss == "reverse_kl":
        return plain_kl(student, teacher)
    if loss == "jensen_shannon":
        mix = beta * teacher + (1 - beta) * student
        return beta * plain_kl(teacher, mix) + (1 - beta) * plain_kl(student, mix)
    width = max(teacher.shape[-1], student.shape[-1])
    pairs = [torch.zeros(len(shares), width, dtype=shares.dtype) for shares in (teacher, student)]
    for pair, shares in zip(pairs, (teacher, student), strict=True):
        pair[:, : shares.shape[-1]] = shares.sort(descending=True).values
    return (pairs[0] - pairs[1]).abs().sum(-1)


def with_rest(shares: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    kept = shares.gather(-1, tokens)
    return torch.cat([kept, 1 - kept.sum(-1, keepdim=True)], -1)


LOSSES: tuple[SoftLoss, ...] = ("forward_kl", "reverse_kl", "jensen_shannon", "uld")


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 8])
@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_gradients(
    loss: SoftLoss, top_k: int | None, temperature: float, logits: tuple[Any, Any]
) -> None:
    ours, theirs = logits[0].clone().requires_grad_(), logits[1]
    teacher = Shares((theirs / temperature).log_softmax(-1))
    if top_k is not None:
        teacher = likeliest(teacher.logprobs, top_k)
    beta = 0.2
    found = soft_losses(ours, teacher, loss, beta=beta, temperature=temperature)
    found.sum().backward()

    wide = logits[0].double().requires_grad_()
    student = (wide / temperature).softmax(-1)
    shares = (theirs.double() / temperature).softmax(-1)
    if top_k is not None:
        tokens = shares.topk(top_k).indices
        own = student.topk(top_k).indices if loss == "uld" else tokens
        shares, student = with_rest(shares, tokens), with_rest(student, own)
    if loss == "uld" and top_k is not None:
        wanted = (shares - student).abs().sum(-1)
    else:
        wanted = plain(loss, shares, student, beta)
    wanted = wanted * (1 if loss == "uld" else temperature**2)
    wanted.sum().backward()

    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), wide.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_likeliest_tokens_alone_never_cost_more_than_all(
    loss: SoftLoss, logits: tuple[Any, Any]
) -> None:
    ours, theirs = logits
    whole = Shares(theirs.log_softmax(-1))
    exact = soft_losses(ours, whole, loss, beta=0.5, temperature=1.0)
    gaps = []
    for count in (1, 4, 16, TOKENS - 1):
        part = soft_losses(ours, likeliest(whole.logprobs, count), loss, beta=0.5, temperature=1.0)
        assert bool((part <= exact + 1e-5).all())
        gaps.append(float((exact - part).mean()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("width", [25, 60])
def test_vocabularies_of_two_sizes(width: int, logits: tuple[Any, Any]) -> None:
    ours = logits[0]
    torch.manual_seed(1)
    theirs = torch.randn(TARGETS, width).log_softmax(-1)
    found = soft_losses(ours, Shares(theirs), "uld", beta=0.5, temperature=1.0)
    wanted = plain("uld", theirs.double().exp(), ours.double().softmax(-1), 0.5)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)
    whole = soft_losses(ours, likeliest(theirs, width), "uld", beta=0.5, temperature=1.0)
    torch.testing.assert_close(whole, found, rtol=1e-4, atol=1e-5)


def test_jensen_shannon_lies_between_the_two_divergences(logits: tuple[Any, Any]) -> None:
    """Divided by its small weight it is one KL divergence or the other (GKD, section 2)."""
    ours, theirs = logits[0][:50] / 5, Shares((logits[1][:50] / 5).log_softmax(-1))
    for beta, small, limit in ((1e-4, 1e-4, "forward_kl"), (1 - 1e-4, 1e-4, "reverse_kl")):
        found = soft_losses(ours, theirs, "jensen_shannon", beta=beta, temperature=1.0) / small
        wanted = soft_losses(ours, theirs, limit, beta=0.5, temperature=1.0)  # type: ignore[arg-type]
        torch.testing.assert_close(found, wanted, rtol=0.01, atol=0.01)
