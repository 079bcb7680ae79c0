"""What a language model knows of held-out bases: bits per base of its exact single-base posterior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N
from genoformer.models.encoder import Encoder
from genoformer.models.posterior import base_posterior
from genoformer.training.datasets import RandomWindows
from genoformer.training.draws import Draws


class Asked(NamedTuple):
    """Windows [B, L] with one base each, at target [B], that a model is asked for."""

    codes: Codes
    target: NDArray[np.int64]


def asked_bases(windows: RandomWindows, n: int) -> Asked:
    """One base in the middle half of each of the first n windows; N among them are left out."""
    numbers = np.arange(n)
    codes = windows.drawn(numbers)[0]
    length = codes.shape[1]
    target = length // 4 + (Draws(windows.seed, numbers, stream=2)(1)[:, 0] * (length // 2)).astype(np.int64)
    known = codes[np.arange(n), target] < N
    return Asked(codes[known], target[known])


@torch.no_grad()
def bits_of(model: Encoder, asked: Asked, batch_size: int) -> NDArray[np.float64]:
    """-log2 P(true base) of the exact single-base posterior at each asked base, [B]; NaN where N hides it."""
    bits = []
    device = next(model.parameters()).device
    for start in range(0, len(asked.codes), batch_size):
        codes, target = (part[start : start + batch_size] for part in asked)
        hidden = model.tokenizer.hide(codes, target)
        log2_p = base_posterior(model, *(torch.from_numpy(x).to(device) for x in hidden)).double().cpu().numpy()
        rows = np.arange(len(codes))
        bits.append(-log2_p[rows, codes[rows, target]])
    return np.concatenate(bits)


def composition_bits(asked: Asked) -> float:
    """Entropy in bits of the base composition around the asked bases, both strands together: what knowing nothing gives."""
    count = np.bincount(asked.codes.ravel(), minlength=5)[:4].astype(np.float64)
    p = (count + count[::-1]) / (2 * count.sum())
    return float(-(p * np.log2(p, where=p > 0, out=np.zeros(4))).sum())
