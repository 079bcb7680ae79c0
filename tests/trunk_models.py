"""Enformers of several kernels and numbers of stages, and their trunk without tiles."""

from __future__ import annotations

from functools import cache

import torch
from hypothesis import strategies as st
from small_models import small_enformer

from genoformer.models.enformer.model import Enformer

KERNELS = [(15, 5), (1, 1), (9, 7), (3, 11)]
models = st.sampled_from([(n_pools, kernels) for n_pools in (3, 4, 5) for kernels in sorted(KERNELS)])


@cache
def model_of(n_pools: int, kernels: tuple[int, int]) -> Enformer:
    """An Enformer of so many stages, with kernels of stem and tower."""
    return small_enformer(seed=7, n_pools=n_pools, stem_kernel=kernels[0], tower_kernel=kernels[1])


def plain(model: Enformer, onehot: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.convolve_bases(onehot).transpose(1, 2)  # [B, T, C]


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest number."""
    assert found.shape == expected.shape
    return ((found.float() - expected).abs().max() / expected.abs().max()).item()
