"""Loss: the sum of a batch. Losses of tracks: Poisson (Enformer), Poisson of the sum and multinomial (Borzoi), log squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Loss(NamedTuple):
    """Summed loss, the summed weight of its terms, and the divisor for the backward pass.

    The divisor is the same for every batch (an expected count), so that the batches of two processes, or of two backward
    passes, add up to the result of one large batch.
    """

    total: Tensor
    weight: Tensor
    divisor: float


TrackLoss = Callable[[Tensor, Tensor], Tensor]  # predicted, measured [B, K, N] -> [B, K]
_EPSILON = 1e-7  # inside the logarithm, as in Keras' Poisson loss


def poisson(predicted: Tensor, measured: Tensor) -> Tensor:
    """Return y' - y log y', mean over bins, of each window and track: [B, K, N] -> [B, K] (Avsec et al. 2021)."""
    return (predicted - measured * torch.log(predicted + _EPSILON)).mean(-1)


def poisson_multinomial(predicted: Tensor, measured: Tensor, total_weight: float = 0.2) -> Tensor:
    """Return separate losses of total and shape, summed: [B, K, N] -> [B, K] (Linder et al. 2025, section "Loss function").

    With s and s' the sums of y and y' over the N bins: (total_weight (s' - s log s') - sum_i y_i log(y'_i / s')) / N.
    The multinomial part does not depend on the scale of a track, so that positions count that a Poisson loss hardly notices.
    """
    n = predicted.shape[-1]
    total, expected = measured.sum(-1), predicted.sum(-1) + _EPSILON * n
    places = (measured * (torch.log(predicted + _EPSILON) - torch.log(expected)[..., None])).sum(-1)
    return (total_weight * (expected - total * torch.log(expected)) - places) / n


def log_squares(predicted: Tensor, measured: Tensor) -> Tensor:
    """Return (log(1 + y') - log(1 + y))^2, mean over bins, of each window and track: [B, K, N] -> [B, K].

    For small data sets: a peak of many counts does not outweigh all other bins, and the loss matches r of log(1 + y).
    """
    return (torch.log1p(predicted) - torch.log1p(measured)).square().mean(-1)


TRACK_LOSSES: dict[str, TrackLoss] = {"poisson": poisson, "multinomial": poisson_multinomial, "log": log_squares}
