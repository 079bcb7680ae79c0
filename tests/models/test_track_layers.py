"""Layers of track models: the shift of relative positions, column by column."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.models import track_layers
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


@pytest.mark.parametrize("size", [1.0, 60.0])  # of queries: with the second the powers of the logits overflow
@pytest.mark.parametrize(("n_queries", "n_keys"), [(5, 130), (130, 130)])
def test_attention_by_rows_is_the_formula(monkeypatch, size, n_queries, n_keys) -> None:
    """Two heads of queries for each of keys; 64 rows at a time, so that the last ones are fewer."""
    monkeypatch.setattr(track_layers, "_CACHE", 1)
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, n, m, 16, generator=generator) for n, m in ((4, n_queries), (2, n_keys), (2, n_keys)))
    q = size * q
    found = track_layers.attend_rows(q, k, v)
    for b, h in product(range(2), range(4)):
        logits = q[b, h].double() @ k[b, h // 2].double().T / 4
        expected = (logits - logits.max(-1, keepdim=True).values).exp()
        expected = expected / expected.sum(-1, keepdim=True) @ v[b, h // 2].double()
        assert (found[b, h] - expected).abs().max() < 1e-4


def test_where_attention_by_rows_pays_off(monkeypatch) -> None:
    monkeypatch.setattr(track_layers, "is_intel", lambda: False)
    wide, narrow = torch.zeros(1, 2, 1024, 128), torch.zeros(1, 2, 1024, 64)
    with torch.no_grad():
        assert track_layers.rows_pay_off(wide, wide)
        assert not any(track_layers.rows_pay_off(q, q) for q in (narrow, wide[:, :, :512], wide.bfloat16()))
    assert not track_layers.rows_pay_off(wide, wide)  # attention by rows writes in place: it has no gradients
    monkeypatch.setattr(track_layers, "is_intel", lambda: True)
    with torch.no_grad():
        assert not track_layers.rows_pay_off(wide, wide)
