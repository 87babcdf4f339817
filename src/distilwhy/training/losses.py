"""The one loss: the weighted sum of each view's own mean token loss."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each target token, in fp32 nats.

    Args:
        logits: [targets, vocabulary], any float dtype.
        labels: int64, [targets].
    """
    return cross_entropy(logits.float(), labels, reduction="none")


def view_counts(label_views: torch.Tensor, views: int) -> torch.Tensor:
    """Return how many target tokens each view has: int64, [views].

    Args:
        label_views: int64, [targets], the view of each target token.
        views: Number of views.
    """
    return torch.bincount(label_views, minlength=views)


def weighted_view_loss(
    losses: torch.Tensor, label_views: torch.Tensor, weights: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """Return the sum over views of weight times mean token loss, a scalar (paper, loss table).

    Args:
        losses: [targets], the loss of each target token.
        label_views: int64, [targets], the view of each.
        weights: [views], the method's weights.
        counts: [views], target tokens of each view in the *whole* step. Where a step is cut into
            several forward passes, their losses then add up to the step's loss exactly.
    """
    per_token = weights / counts.clamp(min=1)
    return (losses * per_token[label_views]).sum()
