"""Layers of track models: the shift of relative positions, column by column."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.models.track_layers import relative_shift


@given(st.integers(1, 9), st.lists(st.integers(1, 3), max_size=2), st.booleans())
@settings(deadline=None)
def test_by_distance_picks_the_column_of_the_distance(n, outer, transposed) -> None:
    x = torch.arange(math.prod(outer) * n * (2 * n - 1)).view(*outer, n, 2 * n - 1)
    if transposed:  # the same numbers, not in the order of memory
        x = x.mT.contiguous().mT
    found = relative_shift(x)
    assert found.shape == (*outer, n, n)
    for i in range(n):
        for j in range(n):
            assert torch.equal(found[..., i, j], x[..., i, (j - i) + n - 1])
