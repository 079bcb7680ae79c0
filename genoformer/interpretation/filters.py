"""First-layer filters of a long-range model -> motifs of the bases where each is most active (Kelley et al. 2016)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.interpretation.motifs import Matrix
from genoformer.models.enformer.model import Enformer
from genoformer.models.track_model import one_hot

LEAST = 10  # minimum number of positions of a filter with a motif


def filter_matrices(model: Enformer, codes: Codes, *, share: float = 0.5, most: int = 1_000) -> list[Matrix]:
    """Return the base frequencies [W, 4] at the strongest positions of each filter that is active in sequences [B, L].

    share: the activation of a position must exceed this fraction of the filter's maximum. most: maximum number of positions
    for each filter. A filter with fewer than 10 positions has no motif. Raises ConfigError for sequences shorter than a filter.
    """
    first = model.stages[0].wide
    assert isinstance(first, nn.Conv1d)
    width = first.kernel_size[0]
    if codes.shape[1] < width:
        raise ConfigError(f"sequences of {codes.shape[1]} bases: a filter has {width}; give longer ones.")
    with torch.inference_mode():
        weight = first.weight.float().cpu()
        parts = np.array_split(codes, max(1, codes.size >> 20))
        found = [nn.functional.conv1d(one_hot(torch.from_numpy(part)), weight).numpy() for part in parts]
    activity = np.concatenate(found)  # [B, C, L - W + 1], without the bias, which is the same everywhere
    made = []
    for i in range(activity.shape[1]):
        of = activity[:, i]
        top = of.max(initial=0)
        rows, starts = np.nonzero(of > share * top) if top > 0 else (np.zeros(0, int), np.zeros(0, int))
        if len(rows) > most:
            strongest = np.argsort(-of[rows, starts], kind="stable")[:most]
            rows, starts = rows[strongest], starts[strongest]
        if len(rows) < LEAST:
            continue
        windows = codes[rows[:, None], starts[:, None] + np.arange(width)]
        counts = np.stack([(windows == base).sum(0) for base in range(N)], axis=1).astype(float)
        if (counts.sum(1) > 0).all():
            made.append(Matrix.of_counts(f"filter_{i}", counts))
    return made
