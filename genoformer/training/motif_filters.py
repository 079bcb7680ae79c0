"""Motifs -> initial filters of the first convolution of a track model, on both strands (DanQ-JASPAR, Quang and Xie 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genoformer.errors import ConfigError
from genoformer.formats.motif_matrix import Matrix

_LEAST = 0.01  # probability of a base, so that no logarithm is infinite


def motif_filter(p: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the filter [4, width] of a motif [W, 4]: log-odds, minus their mean at each position, in the middle.

    Of a motif that is longer than the filter, the part with most information is taken.

    >>> motif_filter(np.array([[0.97, 0.01, 0.01, 0.01]]), 3).round(1).tolist()
    [[0.0, 4.9, 0.0], [0.0, -1.6, 0.0], [0.0, -1.6, 0.0], [0.0, -1.6, 0.0]]
    """
    floored = np.maximum(p, _LEAST)
    floored /= floored.sum(1, keepdims=True)
    odds = np.log2(floored / 0.25)  # [W, 4]
    information = (floored * odds).sum(1)
    first = max(range(max(1, len(p) - width + 1)), key=lambda i: information[i : i + width].sum())
    part = odds[first : first + width]
    out = np.zeros((4, width))
    left = (width - len(part)) // 2
    out[:, left : left + len(part)] = (part - part.mean(1, keepdims=True)).T
    return out


def start_at_motifs(model: nn.Module, motifs: Sequence[Matrix]) -> None:
    """Initialise two filters of the first convolution with each motif and its reverse complement; the others stay random.

    A filter keeps the norm of its random weights, so that activations have the usual size. Raises ConfigError for a model
    whose first layer does not read bases, and for more motifs than there are pairs of filters.
    """
    first = next((m for m in model.modules() if isinstance(m, nn.Conv1d) and m.in_channels == 4), None)
    if first is None:
        raise ConfigError(f"{type(model).__name__} has no convolution that reads bases, found motifs for one; leave them out.")
    if 2 * len(motifs) > first.out_channels:
        raise ConfigError(
            f"found {len(motifs)} motifs, but the first convolution has {first.out_channels} filters, two for each motif; "
            f"give at most {first.out_channels // 2}."
        )
    with torch.no_grad():
        for i, motif in enumerate(motifs):
            forward = motif_filter(motif.p, first.kernel_size[0])
            for weight, values in ((first.weight[2 * i], forward), (first.weight[2 * i + 1], forward[::-1, ::-1])):
                new = torch.from_numpy(values.copy()).to(weight)
                weight.copy_(new * (weight.norm() / new.norm().clamp_min(1e-6)))
