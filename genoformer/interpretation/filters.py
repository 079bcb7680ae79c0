"""First-layer filters of a model of one-hot DNA -> motifs of the bases where each is most active (Kelley et al. 2016)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from genoformer.errors import ConfigError
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes, N
from genoformer.models.plain_engine import one_hot

MIN_SITES = 10  # minimum number of positions of a filter with a motif


def first_convolution(model: nn.Module) -> nn.Conv1d:
    """Return the first convolution of a model over the four bases. Raises ConfigError for a model without one."""
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv1d) and module.in_channels == 4)
    first = next(convolutions, None)
    if first is None:
        raise ConfigError("the model has no filters over bases; give a track model.")
    return first


def filter_matrices(model: nn.Module, codes: Codes, *, fraction: float = 0.5, max_sites: int = 1_000) -> list[Matrix]:
    """Return the base frequencies [W, 4] at the strongest positions of each filter that is active in sequences [B, L].

    fraction: the activation of a position must exceed this fraction of the filter's maximum. max_sites: maximum number of
    positions for each filter. A filter with fewer than 10 positions has no motif. Raises ConfigError for sequences shorter than
    a filter, and for a model without filters over bases.
    """
    first = first_convolution(model)
    width = first.kernel_size[0]
    if codes.shape[1] < width:
        raise ConfigError(f"found sequences of {codes.shape[1]} bases, a filter has {width}; give longer sequences.")
    with torch.inference_mode():
        weight = first.weight.float().cpu()
        parts = np.array_split(codes, max(1, codes.size >> 20))
        activity = np.concatenate([nn.functional.conv1d(one_hot(torch.from_numpy(part)), weight).numpy() for part in parts])
    matrices = []
    for i, values in enumerate(activity.swapaxes(0, 1)):  # [B, L - W + 1], without the bias, which is the same everywhere
        rows, starts = _strongest(values, fraction, max_sites)
        if len(rows) < MIN_SITES:
            continue
        windows = codes[rows[:, None], starts[:, None] + np.arange(width)]
        counts = np.stack([(windows == base).sum(0) for base in range(N)], axis=1).astype(float)
        if (counts.sum(1) > 0).all():
            matrices.append(Matrix.of_counts(f"filter_{i}", counts))
    return matrices


def _strongest(values: np.ndarray, fraction: float, max_sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sequences and the starts of the strongest positions of one filter."""
    largest = values.max(initial=0)
    if largest <= 0:
        return np.zeros(0, int), np.zeros(0, int)
    rows, starts = np.nonzero(values > fraction * largest)
    if len(rows) > max_sites:
        order = np.argsort(-values[rows, starts], kind="stable")[:max_sites]
        rows, starts = rows[order], starts[order]
    return rows, starts
