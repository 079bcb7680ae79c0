"""Enformers of several kernels and numbers of stages, and their trunk without tiles."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from small_models import small_enformer

from genoformer.models.enformer.model import Enformer

KERNELS = [(15, 5), (1, 1), (9, 7), (3, 11)]
MODELS = {
    (n_pools, kernels): small_enformer(seed=7, n_pools=n_pools, stem_kernel=kernels[0], tower_kernel=kernels[1])
    for n_pools in (3, 4, 5)
    for kernels in KERNELS
}
models = st.sampled_from(sorted(MODELS))


def plain(model: Enformer, onehot: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.convolve_bases(onehot).transpose(1, 2)  # [B, T, C]


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest number."""
    assert found.shape == expected.shape
    return ((found.float() - expected).abs().max() / expected.abs().max()).item()
