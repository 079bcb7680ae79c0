"""Loss: the sum of a batch. Losses of tracks: Poisson (Enformer), Poisson of the sum and multinomial (Borzoi, AlphaGenome)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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


SEGMENT = 131_072  # bases of a segment of the multinomial loss of AlphaGenome (heads.py, `_compute_loss`)


def poisson_multinomial(predicted: Tensor, measured: Tensor, total_weight: float = 0.2, n_segment: int = 0) -> Tensor:
    """Return separate losses of total and shape, summed: [B, K, N] -> [B, K] (Linder et al. 2025, section "Loss function").

    With s and s' the sums of y and y' over the N bins: (total_weight (s' - s log s') - sum_i y_i log(y'_i / s')) / N.
    The multinomial part does not depend on the scale of a track, so that positions count that a Poisson loss hardly notices.
    n_segment: bins of a segment; the sums are of each segment of a window, and the terms of all segments are added (Avsec et
    al. 2026: segments of 131,072 bases, total_weight 0.2). 0: the whole window is one segment.
    """
    n = predicted.shape[-1]
    if 0 < n_segment < n:
        segments = zip(predicted.split(n_segment, -1), measured.split(n_segment, -1), strict=True)
        parts = [poisson_multinomial(a, b, total_weight) * a.shape[-1] for a, b in segments]
        return torch.stack(parts).sum(0) / n
    total, expected = measured.sum(-1), predicted.sum(-1) + _EPSILON * n
    places = (measured * (torch.log(predicted + _EPSILON) - torch.log(expected)[..., None])).sum(-1)
    return (total_weight * (expected - total * torch.log(expected)) - places) / n


def log_squares(predicted: Tensor, measured: Tensor) -> Tensor:
    """Return (log(1 + y') - log(1 + y))^2, mean over bins, of each window and track: [B, K, N] -> [B, K].

    For small data sets: a peak of many counts does not outweigh all other bins, and the loss matches r of log(1 + y).
    """
    return (torch.log1p(predicted) - torch.log1p(measured)).square().mean(-1)


TRACK_LOSSES: dict[str, TrackLoss] = {
    "poisson": poisson,
    "multinomial": poisson_multinomial,
    "segments": poisson_multinomial,
    "log": log_squares,
}


def track_loss_named(name: str, *, total_weight: float, bin_size: int) -> TrackLoss:
    """Return a loss of TRACK_LOSSES; "segments" is the multinomial one in segments of 131,072 bases."""
    if TRACK_LOSSES[name] is not poisson_multinomial:
        return TRACK_LOSSES[name]
    n_segment = max(1, SEGMENT // bin_size) if name == "segments" else 0
    return partial(poisson_multinomial, total_weight=total_weight, n_segment=n_segment)
